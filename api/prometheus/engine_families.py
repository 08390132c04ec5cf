"""Metrics of the engine: queue, speed, tokens, caches and memory."""

from collections.abc import Callable, Iterator
from typing import get_args

from prometheus_client.core import Metric

from api.prometheus import catalogue as known
from contracts.engine_stats import CacheStats, ClassStats, EngineStats, PromptTokenKind
from contracts.latencies import Histogram
from contracts.work_class import WORK_CLASSES

TOKEN_KINDS: tuple[PromptTokenKind, ...] = get_args(PromptTokenKind)


def engine_families(stats: EngineStats) -> Iterator[Metric]:
    """Everything that an engine counts."""
    yield from _class_families(stats)
    yield known.PROMPT_TOKENS.family(
        {(kind,): stats.prompt_tokens.get(kind, 0) for kind in TOKEN_KINDS}
    )
    yield known.ENCODE_SECONDS.alone(stats.encode_s)
    yield known.PREFILL_SECONDS.alone(stats.prefill_s)
    yield from _cache_families(stats.vision_cache)
    memory = stats.gpu_memory
    if memory is not None:
        yield known.GPU_MEMORY.family(
            {
                ("used",): memory.used_bytes,
                ("reserved",): memory.reserved_bytes,
                ("total",): memory.total_bytes,
            }
        )


def _class_families(stats: EngineStats) -> Iterator[Metric]:
    def numbers(of: Callable[[ClassStats], int]) -> dict[tuple[str, ...], float]:
        return {(name,): of(stats.of(name)) for name in WORK_CLASSES}

    def durations(of: Callable[[ClassStats], Histogram]) -> Iterator[tuple[tuple[str], Histogram]]:
        return (((name,), of(stats.of(name))) for name in WORK_CLASSES)

    yield known.QUEUE_DEPTH.family(numbers(lambda one: one.num_waiting))
    yield known.RUNNING_SEQUENCES.family(numbers(lambda one: one.num_running))
    yield known.QUEUE_SECONDS.family(durations(lambda one: one.queue_s))
    yield known.FIRST_TOKEN_SECONDS.family(durations(lambda one: one.first_token_s))
    yield known.TOKEN_SECONDS.family(durations(lambda one: one.token_s))
    yield known.GENERATED_TOKENS.family(numbers(lambda one: one.num_generated))


def _cache_families(cache: CacheStats) -> Iterator[Metric]:
    yield known.CACHE_HITS.alone(cache.num_hits)
    yield known.CACHE_MISSES.alone(cache.num_misses)
    yield known.CACHE_BYTES.alone(cache.num_bytes)
