"""Counts what the engine does. The device thread counts; any thread may look."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from contracts.engine_stats import (
    TOKEN_BOUNDS_S,
    TURN_BOUNDS_S,
    WAIT_BOUNDS_S,
    ClassStats,
    EngineStats,
    PromptTokenKind,
)
from contracts.generation import PromptTokens
from contracts.latencies import Latencies
from contracts.work_class import WorkClass


@dataclass(slots=True)
class ClassMeter:
    """Counts the work of one class; the fields are those of ``ClassStats``."""

    num_generated: int = 0
    queue_s: Latencies = field(default_factory=lambda: Latencies(WAIT_BOUNDS_S))
    first_token_s: Latencies = field(default_factory=lambda: Latencies(WAIT_BOUNDS_S))
    token_s: Latencies = field(default_factory=lambda: Latencies(TOKEN_BOUNDS_S))

    def stats(self, *, num_waiting: int, num_running: int) -> ClassStats:
        """What was counted, and what is going on."""
        return ClassStats(
            num_waiting,
            num_running,
            self.num_generated,
            self.queue_s.histogram,
            self.first_token_s.histogram,
            self.token_s.histogram,
        )


class EngineMeter:
    """Counts the work of all classes.

    Attributes:
        encode_s: See ``EngineStats``.
        prefill_s: Likewise.
    """

    def __init__(self) -> None:
        self.encode_s = Latencies(TURN_BOUNDS_S)
        self.prefill_s = Latencies(TURN_BOUNDS_S)
        self._classes: dict[WorkClass, ClassMeter] = {
            name: ClassMeter() for name in get_args(WorkClass)
        }
        self._prompt_tokens: Counter[PromptTokenKind] = Counter()

    def __getitem__(self, work_class: WorkClass) -> ClassMeter:
        """The meter of a class."""
        return self._classes[work_class]

    def count_prompt(self, tokens: PromptTokens, *, num_cached: int) -> None:
        """Count a prompt whose work begins."""
        self._prompt_tokens.update(
            text=tokens.text, image=tokens.image, video=tokens.video, cached=num_cached
        )

    def stats(
        self,
        waiting: Mapping[WorkClass, int],
        running: Mapping[WorkClass, int],
        *,
        kv_bytes: int = 0,
        max_kv_bytes: int = 0,
    ) -> EngineStats:
        """What was counted.

        Args:
            waiting: Requests that were not begun yet.
            running: Answers that are being written.
            kv_bytes: Memory of their keys and values.
            max_kv_bytes: What it may be.
        """
        return EngineStats(
            classes={
                name: meter.stats(
                    num_waiting=waiting.get(name, 0), num_running=running.get(name, 0)
                )
                for name, meter in self._classes.items()
            },
            prompt_tokens=dict(self._prompt_tokens),
            encode_s=self.encode_s.histogram,
            prefill_s=self.prefill_s.histogram,
            kv_bytes=kv_bytes,
            max_kv_bytes=max_kv_bytes,
        )
