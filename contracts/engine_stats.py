"""What an engine has done and is doing, counted since it started: for metrics and the status.

Snapshots only: whoever counts replaces them, whoever reads keeps them as long as it likes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from contracts.latencies import Histogram, Latencies
from contracts.work_class import WorkClass

PromptTokenKind = Literal["text", "image", "video", "cached"]

WAIT_BOUNDS_S = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 120.0)
TOKEN_BOUNDS_S = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.3, 2.6)
TURN_BOUNDS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

NO_WAITS = Latencies(WAIT_BOUNDS_S).histogram
NO_TOKENS = Latencies(TOKEN_BOUNDS_S).histogram
NO_TURNS = Latencies(TURN_BOUNDS_S).histogram


@dataclass(frozen=True, slots=True)
class ClassStats:
    """The work of one class.

    Attributes:
        num_waiting: Requests that were not begun yet.
        num_running: Answers that are being written, or prompts that are being read.
        num_generated: Tokens drawn.
        queue_s: From submission to the beginning of work.
        first_token_s: From submission to the first token; of a judgement, to its end.
        token_s: Between two tokens of one answer.
    """

    num_waiting: int = 0
    num_running: int = 0
    num_generated: int = 0
    queue_s: Histogram = NO_WAITS
    first_token_s: Histogram = NO_WAITS
    token_s: Histogram = NO_TOKENS


@dataclass(frozen=True, slots=True)
class CacheStats:
    """A cache: what was found in it, what was not, and what it holds."""

    num_hits: int = 0
    num_misses: int = 0
    num_bytes: int = 0


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Memory of the GPUs together: by tensors, kept for more of them, and all there is."""

    used_bytes: int
    reserved_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class EngineStats:
    """One look at an engine.

    Attributes:
        classes: By class; one that is missing has done nothing.
        prompt_tokens: By kind; ``cached`` ones are counted under their own kind, too.
        encode_s: Seconds of one turn's pictures in the vision tower.
        prefill_s: Seconds of one turn's reading of prompts.
        kv_bytes: Memory taken by keys and values of running requests.
        max_kv_bytes: What they may take; 0 where nobody knows.
        vision_cache: Of pictures' tokens.
        prefix_cache: Of keys and values.
        gpu_memory: ``None`` where there is no GPU.
    """

    classes: Mapping[WorkClass, ClassStats] = field(default_factory=dict)
    prompt_tokens: Mapping[PromptTokenKind, int] = field(default_factory=dict)
    encode_s: Histogram = NO_TURNS
    prefill_s: Histogram = NO_TURNS
    kv_bytes: int = 0
    max_kv_bytes: int = 0
    vision_cache: CacheStats = CacheStats()
    prefix_cache: CacheStats = CacheStats()
    gpu_memory: GpuMemory | None = None

    def of(self, work_class: WorkClass) -> ClassStats:
        """The work of a class."""
        return self.classes.get(work_class, ClassStats())
