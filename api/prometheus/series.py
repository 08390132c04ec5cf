"""Kinds of metric: what describes one, and how it is shown with its samples."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from contracts.latencies import Histogram

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """A metric.

    Attributes:
        name: As it is scraped; of a histogram without ``_bucket``.
        text: What it means.
        labels: Names of its labels, in order.
    """

    kind: ClassVar[str]
    name: str
    text: str
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Gauge(Series):
    """A number that goes up and down."""

    kind = "gauge"

    def family(self, samples: Mapping[Labels, float] | None = None) -> Metric:
        """All samples by the values of their labels; without any, it is not shown."""
        family = GaugeMetricFamily(self.name, self.text, labels=self.labels)
        for labels, value in (samples or {}).items():
            family.add_metric(labels, value)
        return family

    def alone(self, value: float | None) -> Metric:
        """The one sample of a metric without labels; ``None``: it is not shown."""
        return self.family({} if value is None else {(): value})


@dataclass(frozen=True, slots=True)
class Counter(Series):
    """A number that only grows, until the service starts anew."""

    kind = "counter"

    def family(self, samples: Mapping[Labels, float]) -> Metric:
        """All samples by the values of their labels."""
        family = CounterMetricFamily(self.name, self.text, labels=self.labels)
        for labels, value in samples.items():
            family.add_metric(labels, value)
        return family

    def alone(self, value: float) -> Metric:
        """The one sample of a metric without labels."""
        return self.family({(): value})


@dataclass(frozen=True, slots=True)
class Durations(Series):
    """Seconds, counted into buckets."""

    kind = "histogram"

    def family(self, samples: Iterable[tuple[Labels, Histogram]]) -> Metric:
        """All samples by the values of their labels."""
        family = HistogramMetricFamily(self.name, self.text, labels=self.labels)
        for labels, histogram in samples:
            bounds = [*(str(bound) for bound in histogram.bounds_s), "+Inf"]
            counts = map(float, histogram.counts)
            family.add_metric(labels, [*zip(bounds, counts, strict=True)], histogram.sum_s)
        return family

    def alone(self, histogram: Histogram) -> Metric:
        """The one sample of a metric without labels."""
        return self.family([((), histogram)])
