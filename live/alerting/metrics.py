"""What Prometheus sees of streams, rules, events and deliveries.

A snapshot in, metric families out; nothing is kept between two scrapes, so a series goes with its
stream or rule, and a gauge goes while what it shows is stale. Only families are made, no metric
objects of the library: BentoML's worker would keep those in files that outlive what they count.
Source of the names: API.md 7.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from contracts.events import EventType, Verdict
from contracts.feeds import ReaderKind
from contracts.latencies import Histogram
from contracts.notify import MessageKind, SinkKind
from contracts.rules import Rule, RuleStatus, Severity
from contracts.streams import StreamState, StreamStatus
from live.alerting.outbox import Attempted
from live.store.deliveries import Backlog

RULE = ("rule_id", "stream_id")
EVALUATED = ("on", "off")


@dataclass(frozen=True, slots=True)
class RuleSample:
    """A rule on a stream: how it stands, and its looks by what they said."""

    rule: Rule
    status: RuleStatus
    verdicts: Mapping[Verdict, int]


@dataclass(frozen=True, slots=True)
class LiveSnapshot:
    """Everything that is shown, at one moment.

    Attributes:
        looks: From the newest frame's capture to the verdict.
        events: Messages since the start.
        attempts: Of deliveries, since the start.
    """

    at: datetime
    streams: Sequence[StreamStatus]
    rules: Sequence[RuleSample]
    looks: Histogram
    events: Mapping[tuple[EventType, Severity, MessageKind], int]
    attempts: Mapping[tuple[SinkKind, Attempted], int]
    backlog: Backlog
    readers: Mapping[ReaderKind, int]


class LiveCollector(Collector):
    """Shows one snapshot; make another for the next scrape."""

    def __init__(self, snapshot: LiveSnapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """The families, in an order that does not change."""
        yield from _streams(self._snapshot.streams)
        yield _alert_status(self._snapshot.rules)
        yield from _rules(self._snapshot.rules)
        yield _looks(self._snapshot.looks)
        yield from _events(self._snapshot)
        yield from _outbox(self._snapshot)


def render(snapshot: LiveSnapshot) -> bytes:
    """A snapshot in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(LiveCollector(snapshot))
    return generate_latest(registry)


def _streams(streams: Sequence[StreamStatus]) -> Iterator[Metric]:
    state = _gauge("lookout_stream_state", "1 for the state it is in", "stream_id", "state")
    age = _gauge("lookout_stream_frame_age_seconds", "Age of the newest frame", "stream_id")
    reconnects = _counter("lookout_stream_reconnects", "Times its source came back", "stream_id")
    frames = _counter("lookout_stream_frames", "Frames due for its buffer", "stream_id", "result")
    for stream in streams:
        stream_id = stream.config.id
        for one in StreamState:
            state.add_metric([stream_id, one.value], float(stream.state is one))
        if stream.last_frame_age_s is not None and stream.state is not StreamState.ENDED:
            age.add_metric([stream_id], stream.last_frame_age_s)
        reconnects.add_metric([stream_id], stream.reconnects)
        frames.add_metric([stream_id, "kept"], stream.frames_captured)
        frames.add_metric([stream_id, "dropped"], stream.frames_dropped)
    yield from (state, age, reconnects, frames)


def _alert_status(samples: Sequence[RuleSample]) -> Metric:
    """The façade's rules, each the maximum over its streams."""
    values: dict[tuple[str, str], float] = {}
    for sample in samples:
        number = sample.rule.alert_number
        if number is not None and sample.status.state in EVALUATED:
            key = (number, sample.rule.prompt)
            values[key] = max(values.get(key, 0.0), float(sample.status.state == "on"))
    family = _gauge("alert_status", "Alert rule status", "alert_number", "alert_string")
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _rules(samples: Sequence[RuleSample]) -> Iterator[Metric]:
    score = _gauge("lookout_rule_score", "Score of the last look", *RULE)
    is_on = _gauge("lookout_rule_on", "1 while an event is open", *RULE)
    interval = _gauge("lookout_rule_interval_seconds", "Achieved time between looks", *RULE)
    looks = _counter("lookout_rule_looks", "Looks by what they said", *RULE, "verdict")
    skipped = _counter("lookout_rule_skipped_looks", "Looks spared by still pictures", *RULE)
    for sample in samples:
        status, labels = sample.status, [sample.rule.id, sample.status.stream_id]
        if status.state in EVALUATED:
            is_on.add_metric(labels, float(status.state == "on"))
            if status.score is not None:
                score.add_metric(labels, status.score)
            if status.achieved_interval_s is not None:
                interval.add_metric(labels, status.achieved_interval_s)
        for verdict in get_args(Verdict):
            looks.add_metric([*labels, verdict], sample.verdicts.get(verdict, 0))
        skipped.add_metric(labels, status.num_skipped)
    yield from (score, is_on, interval, looks, skipped)


def _looks(looks: Histogram) -> Metric:
    family = HistogramMetricFamily(
        "lookout_look_seconds", "From the newest frame's capture to the verdict"
    )
    bounds = [*(str(bound) for bound in looks.bounds_s), "+Inf"]
    buckets = [(bound, float(count)) for bound, count in zip(bounds, looks.counts, strict=True)]
    family.add_metric([], buckets, looks.sum_s)
    return family


def _events(snapshot: LiveSnapshot) -> Iterator[Metric]:
    told = _counter("lookout_events", "Messages about events", "type", "severity", "kind")
    for labels, count in sorted(snapshot.events.items()):
        told.add_metric(labels, count)
    readers = _gauge("lookout_feed_clients", "Open event feeds", "kind")
    for kind in get_args(ReaderKind):
        readers.add_metric([kind], snapshot.readers.get(kind, 0))
    yield from (told, readers)


def _outbox(snapshot: LiveSnapshot) -> Iterator[Metric]:
    attempts = _counter("lookout_deliveries", "Attempts to deliver", "sink_kind", "result")
    for labels, count in sorted(snapshot.attempts.items()):
        attempts.add_metric(labels, count)
    depth = _gauge("lookout_outbox_depth", "Deliveries that wait")
    depth.add_metric([], snapshot.backlog.depth)
    oldest = _gauge("lookout_outbox_oldest_seconds", "Age of the oldest delivery that waits")
    if snapshot.backlog.oldest_at is not None:
        oldest.add_metric([], (snapshot.at - snapshot.backlog.oldest_at).total_seconds())
    yield from (attempts, depth, oldest)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    """A counter, whose name gets ``_total`` behind it."""
    return CounterMetricFamily(name, text, labels=labels)
