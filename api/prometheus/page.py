"""One scrape: a snapshot of everything, as text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from api.prometheus import catalogue as known
from api.prometheus.engine_families import engine_families
from api.prometheus.live_families import alert_families, stream_families
from api.prometheus.service_families import media_families, model_families, request_families
from api.request_meter import RequestStats
from api.served_model import ServedModel
from contracts.alert_stats import AlertStats
from contracts.engine_stats import EngineStats
from contracts.media_stats import MediaStats
from contracts.streams import StreamStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is shown, at one moment; ``alerts`` is ``None`` where there are none."""

    model: ServedModel
    requests: RequestStats
    engine: EngineStats
    media: MediaStats
    streams: Sequence[StreamStatus]
    num_previews: int
    alerts: AlertStats | None


class SnapshotCollector(Collector):
    """Shows one snapshot; make another for the next scrape."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """The families, in an order that does not change."""
        yield from model_families(self._snapshot.model)
        yield from request_families(self._snapshot.requests)
        yield from engine_families(self._snapshot.engine)
        yield from media_families(self._snapshot.media)
        yield from stream_families(self._snapshot.streams)
        yield known.PREVIEW_CLIENTS.alone(self._snapshot.num_previews)
        if self._snapshot.alerts is not None:
            yield from alert_families(self._snapshot.alerts)


def render(snapshot: Snapshot) -> bytes:
    """A snapshot in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(snapshot))
    return generate_latest(registry)
