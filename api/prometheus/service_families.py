"""Metrics of requests, of media, of the model and of previews."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import Metric

from api.prometheus import catalogue as known
from api.request_meter import RequestStats
from api.served_model import ServedModel
from contracts.errors import MediaKind
from contracts.latencies import Histogram
from contracts.media_stats import MediaStats


def request_families(stats: RequestStats) -> Iterator[Metric]:
    """How many requests there were, and how long they took."""
    yield known.REQUESTS.family(
        {(route, method, str(status)): n for (route, method, status), n in stats.ended.items()}
    )
    yield known.REQUEST_SECONDS.family(((route,), h) for route, h in stats.seconds.items())


def media_families(stats: MediaStats) -> Iterator[Metric]:
    """What reading media took and came to."""
    yield known.FETCH_SECONDS.family(_by_kind(stats.fetch_s))
    yield known.DECODE_SECONDS.family(_by_kind(stats.decode_s))
    yield known.MEDIA.family({key: n for key, n in stats.results.items()})


def model_families(model: ServedModel) -> Iterator[Metric]:
    """What is served."""
    labels = (model.name, model.runner, model.quantization, model.device, model.version)
    yield known.MODEL_LOADED.alone(float(model.is_ready))
    yield known.MODEL_INFO.family({labels: 1.0})


def _by_kind(
    histograms: Mapping[MediaKind, Histogram],
) -> Iterator[tuple[tuple[str], Histogram]]:
    return (((kind,), histogram) for kind, histogram in histograms.items())
