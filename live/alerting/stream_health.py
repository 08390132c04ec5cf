"""Whether a camera can be seen: the event for one that is lost, and how long it has been.

Pure. Source: API.md 4.1 (states) and 5.3 (5, 6).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts.events import EndReason, Event
from contracts.streams import StreamState
from live.alerting.event_ids import NewEventId
from live.alerting.notice import Notice, begun, ended

LOST_FOR_GOOD_S = 60.0
DOWN = (StreamState.LOST, StreamState.FAILED)


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """What rules need to know of a live stream.

    Attributes:
        state: As the capture tells it.
        lost_since: First loss since it last ran; trying to connect again does not end it.
        event: The open ``stream_lost`` event.
    """

    stream_id: str
    name: str
    state: StreamState = StreamState.CONNECTING
    lost_since: datetime | None = None
    event: Event | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come, because it ended or was switched off."""
        return self.state is StreamState.ENDED

    def is_lost_for_good(self, now: datetime) -> bool:
        """Whether it has been lost for so long that events on it end."""
        since = self.lost_since
        return since is not None and now - since >= timedelta(seconds=LOST_FOR_GOOD_S)


@dataclass(frozen=True, slots=True)
class HealthStep:
    """The health after something happened, and what is to be told of it."""

    health: StreamHealth
    notices: tuple[Notice, ...] = ()


def turn(health: StreamHealth, state: StreamState, now: datetime, new_id: NewEventId) -> HealthStep:
    """Take note of a new state of the stream."""
    health = replace(health, state=state)
    if state in DOWN:
        return _lose(health, now, new_id)
    if state is StreamState.RUNNING:
        return _end(health, "cleared", now)
    if state is StreamState.ENDED:
        return _end(health, "stream_ended", now)
    return HealthStep(health)


def remove(health: StreamHealth, now: datetime) -> HealthStep:
    """Take note that the stream was deleted."""
    return _end(health, "stream_deleted", now)


def _lose(health: StreamHealth, now: datetime, new_id: NewEventId) -> HealthStep:
    if health.event is not None:
        return HealthStep(health)
    event = Event(
        id=new_id(now),
        type="stream_lost",
        severity="warning",
        stream_id=health.stream_id,
        stream_name=health.name,
        began_at=now,
        updated_at=now,
    )
    return HealthStep(replace(health, lost_since=now, event=event), (begun(event, now),))


def _end(health: StreamHealth, reason: EndReason, now: datetime) -> HealthStep:
    event = health.event
    notices = () if event is None else (ended(event, reason, now, now),)
    return HealthStep(replace(health, lost_since=None, event=None), notices)
