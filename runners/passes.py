"""Passes of a model over what is to be read of prompts, each of a bounded number of tokens.

Runs on the device thread.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from llava_custom.device_clock import wait_for
from llava_custom.device_memory import release
from llava_custom.lean_reading import Stretch
from runners.engine_meter import EngineMeter
from runners.family import ModelFamily
from runners.jobs import AnyJob
from runners.kv_fork import fork
from runners.pace import ReadingPace
from runners.reading import Reading

logger = logging.getLogger(__name__)

PREFILL_CHUNK = 2048  # tokens read at a time at most
FIRST_CHUNK = 512  # before it is known how fast that goes
LEAST_CHUNK = 128
PIECE_S = 0.1  # that a pass may keep running answers waiting, about
LONE_PIECE_S = 1.0  # where none is running: somebody may come


class Passes:
    """Reads.

    Args:
        model: Reads.
        meter: Told how long each pass took.
        clock: Seconds, monotonic.
        is_alone: Whether no answer is running that a long pass would hold up.
    """

    def __init__(
        self,
        model: ModelFamily,
        meter: EngineMeter,
        clock: Callable[[], float],
        is_alone: Callable[[], bool],
    ) -> None:
        self._model = model
        self._meter = meter
        self._clock = clock
        self._is_alone = is_alone
        self._pace = ReadingPace()

    def over_one(self, reading: Reading) -> Tensor | None:
        """Read the rest of a prompt, or a stretch of it where that would take too long.

        Returns:
            Logits (1, V) after the prompt; ``None`` where something of it is left.
        """
        assert reading.rest is not None
        embedded, kv_cache = reading.rest.embedded, reading.rest.kv_cache
        stop = embedded.end_of_stretch(0, self.chunk_size(reading.job))
        began_s = self._clock()
        logits = self._model.prefill(embedded.stretch(0, stop), kv_cache)
        reading.busy_s += self._count(stop, began_s)
        if stop == len(embedded):
            return logits
        reading.is_apart = True
        reading.rest = Stretch(embedded.stretch(stop, len(embedded)), kv_cache)
        return None

    def over_all(self, readings: Sequence[Reading]) -> list[Tensor] | None:
        """Read the rests of several prompts at once.

        Returns:
            Logits (1, V) after each; ``None`` if that failed, and then nothing was read.
        """
        rests = [reading.rest for reading in readings if reading.rest is not None]
        num_tokens = sum(len(rest) for rest in rests)
        began_s = self._clock()
        read = self._attempt(rests)
        if read is None:
            release(self._model.device)
            return None
        seconds = self._count(num_tokens, began_s)
        logits, extended = read
        for reading, rest, one in zip(readings, rests, extended, strict=True):
            rest.kv_cache.layers = one.kv_cache.layers
            reading.busy_s += seconds * len(rest) / num_tokens
        return list(logits.split(1))

    def room_beside(self, company: Sequence[Reading]) -> int:
        """Of how many tokens another rest may be, to be read in one pass with those."""
        if not self._model.reads_together or any(reading.is_apart for reading in company):
            return 0
        taken = sum(len(one.rest) for one in company if one.rest is not None)
        return self._tokens_in(PIECE_S, PREFILL_CHUNK, step=1) - taken

    def chunk_size(self, job: AnyJob) -> int:
        """How many tokens of a job's prompt are read at a time."""
        most = PREFILL_CHUNK // 4 if job.is_second_try else PREFILL_CHUNK
        return self._tokens_in(LONE_PIECE_S if self._is_alone() else PIECE_S, most)

    def elapsed_s(self, began_s: float) -> float:
        """Seconds since then, with what the device was asked to do since."""
        wait_for(self._model.device)
        return self._clock() - began_s

    def _attempt(self, rests: Sequence[Stretch]) -> tuple[Tensor, list[Stretch]] | None:
        """Logits (K, V) after all, and their extended caches, which leave the rests' as they are.

        A pass that failed has written to some layers of a cache and not to others.
        """
        forks = [replace(rest, kv_cache=fork(rest.kv_cache)) for rest in rests]
        try:
            logits = self._model.prefill_together(forks)
            wait_for(self._model.device)  # what fails, fails here
        except Exception:  # perhaps of one of them alone: they are read one by one
            logger.warning("%d prompts could not be read at once", len(rests), exc_info=True)
            return None
        return logits, forks

    def _tokens_in(self, seconds: float, most: int, step: int = LEAST_CHUNK) -> int:
        pace_s = self._pace.usual_s
        if not pace_s:
            return min(most, FIRST_CHUNK)
        return min(most, max(LEAST_CHUNK, int(seconds / pace_s) // step * step))

    def _count(self, num_tokens: int, began_s: float) -> float:
        """Seconds of a pass."""
        seconds = self.elapsed_s(began_s)
        self._meter.prefill_s.count(seconds)
        self._pace.count(max(num_tokens, LEAST_CHUNK), seconds)
        return seconds
