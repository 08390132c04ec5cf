"""What a scrape finds."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

Labels = dict[str, str]
Samples = dict[str, list[tuple[Labels, float]]]


class Listed(Collector):
    """Shows these families."""

    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> tuple[Metric, ...]:
        return self._families


def text_of(*families: Metric) -> str:
    registry = CollectorRegistry()
    registry.register(Listed(*families))
    return generate_latest(registry).decode()


def samples_in(text: str) -> Samples:
    """Every sample by its name, as Prometheus reads it."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found
