"""What the store has from before a start, made ready to go on with."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, select, update

from contracts.events import Event
from contracts.rules import Rule
from contracts.streams import StreamConfig
from live.alerting.rule_run import Standing
from live.store import configuration
from live.store.bodies import EVENT
from live.store.events import open_events, put_event
from live.store.tables import counters, events


@dataclass(frozen=True, slots=True)
class Before:
    """Everything that a start goes on with; ``lost`` are open ``stream_lost`` events by stream."""

    streams: list[StreamConfig]
    rules: list[Rule]
    standings: dict[tuple[str, str], Standing]
    lost: dict[str, Event]


def recover(connection: Connection) -> Before:
    """Read what there is.

    Clips that were still to come will not: their frames are gone. Nothing was to be expected of
    rules while nothing ran, so the waiting for known looks begins anew.
    """
    _give_up_clips(connection)
    standings = {
        key: _settled(standing) for key, standing in configuration.all_standings(connection).items()
    }
    for key, standing in standings.items():
        configuration.put_standing(connection, *key, standing)
    return Before(
        streams=configuration.all_streams(connection),
        rules=configuration.all_rules(connection),
        standings=standings,
        lost={e.stream_id: e for e in open_events(connection) if e.type == "stream_lost"},
    )


def touch(connection: Connection) -> None:
    """Write something that changes nothing, to see whether it can be written."""
    connection.execute(update(counters).values(value=counters.c.value))


def _give_up_clips(connection: Connection) -> None:
    is_pending = events.c.body.contains('"clip":"pending"')
    for body in connection.scalars(select(events.c.body).where(is_pending)).all():
        put_event(connection, _clipless(EVENT.load(body)))


def _settled(standing: Standing) -> Standing:
    state, evaluation = standing.state, standing.evaluation
    if state.event is not None:
        state = replace(state, event=_clipless(state.event))
    if evaluation.event is None:
        evaluation = replace(evaluation, waiting_since=None)
    return Standing(state, evaluation)


def _clipless(event: Event) -> Event:
    kept = event.evidence
    if kept is None or kept.clip != "pending":
        return event
    return replace(event, evidence=replace(kept, clip="none"))
