"""Metrics of streams, rules, events, feeds and deliveries."""

from collections.abc import Iterator, Sequence
from typing import get_args

from prometheus_client.core import Metric

from api.prometheus import catalogue as known
from api.prometheus.series import Labels
from contracts.alert_stats import AlertStats, RuleStats
from contracts.events import Verdict
from contracts.feeds import ReaderKind
from contracts.streams import StreamState, StreamStatus

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
READER_KINDS: tuple[ReaderKind, ...] = get_args(ReaderKind)
EVALUATED = ("on", "off")


def stream_families(streams: Sequence[StreamStatus]) -> Iterator[Metric]:
    """How streams stand; the age of a frame only where another is to come."""
    ids = {stream.config.id: stream for stream in streams}
    yield known.STREAM_STATE.family(
        {
            (stream_id, state.value): float(stream.state is state)
            for stream_id, stream in ids.items()
            for state in StreamState
        }
    )
    yield known.FRAME_AGE.family(
        {
            (stream_id,): stream.last_frame_age_s
            for stream_id, stream in ids.items()
            if stream.last_frame_age_s is not None and stream.state is not StreamState.ENDED
        }
    )
    yield known.RECONNECTS.family({(one,): stream.reconnects for one, stream in ids.items()})
    kept: dict[Labels, float] = {
        (one, "kept"): stream.frames_captured for one, stream in ids.items()
    }
    dropped = {(one, "dropped"): stream.frames_dropped for one, stream in ids.items()}
    yield known.FRAMES.family(kept | dropped)


def alert_families(stats: AlertStats) -> Iterator[Metric]:
    """What alerts have done and are doing."""
    evaluated = [one for one in stats.rules if one.status.state in EVALUATED]
    yield _alert_status(evaluated)
    yield from _standing(evaluated)
    yield from _looks(stats.rules)
    yield known.LOOK_SECONDS.alone(stats.looks)
    yield known.EVENTS.family(dict(sorted(stats.events.items())))
    yield known.FEED_CLIENTS.family({(kind,): stats.readers.get(kind, 0) for kind in READER_KINDS})
    yield known.DELIVERIES.family(dict(sorted(stats.attempts.items())))
    yield known.OUTBOX_DEPTH.alone(None if stats.backlog is None else stats.backlog.depth)
    yield known.OUTBOX_OLDEST.alone(stats.oldest_s)


def _alert_status(evaluated: Sequence[RuleStats]) -> Metric:
    """The façade's rules, each the maximum over its streams."""
    values: dict[Labels, float] = {}
    for one in evaluated:
        if one.rule.alert_number is not None:
            labels = (one.rule.alert_number, one.rule.prompt)
            values[labels] = max(values.get(labels, 0.0), _is_on(one))
    return known.ALERT_STATUS.family(values)


def _standing(evaluated: Sequence[RuleStats]) -> Iterator[Metric]:
    yield known.RULE_SCORE.family(
        {_labels(one): one.status.score for one in evaluated if one.status.score is not None}
    )
    yield known.RULE_ON.family({_labels(one): _is_on(one) for one in evaluated})
    intervals = ((one, one.status.achieved_interval_s) for one in evaluated)
    yield known.RULE_INTERVAL.family(
        {_labels(one): interval_s for one, interval_s in intervals if interval_s is not None}
    )


def _looks(rules: Sequence[RuleStats]) -> Iterator[Metric]:
    yield known.RULE_LOOKS.family(
        {
            (*_labels(one), verdict): one.verdicts.get(verdict, 0)
            for one in rules
            for verdict in VERDICTS
        }
    )
    yield known.SKIPPED_LOOKS.family({_labels(one): one.status.num_skipped for one in rules})


def _labels(one: RuleStats) -> Labels:
    return one.rule.id, one.status.stream_id


def _is_on(one: RuleStats) -> float:
    return float(one.status.state == "on")
