"""A loaded model under measurement, what it is asked, and the engine that runs it."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch

from bench.gpu_network import Network, network_of
from contracts.chat import ChatMessage, TextPart, VideoPart
from contracts.errors import OutOfMemory, ServiceError
from contracts.generation import GenerationRequest, SamplingParams, TokenDelta
from contracts.media import Clip, Frame
from llava_custom import VisionLanguageModel
from llava_custom.device_memory import is_out_of_memory
from runners.engine import Engine
from runners.jobs import Job
from runners.limits import EngineLimits

TIME_OUT_S = 300
QUESTION = "Describe what happens in this video, and when."

Messages = tuple[ChatMessage, ...]


class EngineFailed(Exception):
    """The engine failed, or had to try again; the message is what it wrote in its log."""


class Complaints(logging.Handler):
    """The engine's last warning or error: a request is told less, or nothing."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the words, not the exception, which holds on to tensors."""
        exc = record.exc_info[1] if record.exc_info else None
        self.last = reason_of(exc) if exc else record.getMessage()


def reason_of(exc: BaseException) -> str:
    """A failure in the words of a table's cell."""
    if is_out_of_memory(exc):
        return "out of memory"
    if isinstance(exc, EngineFailed):
        return str(exc)
    line = next(iter(str(exc).splitlines()), "")
    return f"{type(exc).__name__}: {line}"[:160] if line else type(exc).__name__


@dataclass(slots=True)
class Subject:
    """A model, its counts, and the engine that runs it. Every question has a clip of its own."""

    model: VisionLanguageModel
    network: Network
    engine: Engine
    complaints: Complaints
    _random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.model.device

    def ask(self, num_frames: int) -> Messages:
        """A question about noise, in frames of the size that a decoder hands over."""
        width, height = self.model.frame_policy.size_wh or (384, 384)
        shape = (num_frames, height, width, 3)
        pixels = self._random.integers(0, 256, shape, dtype=np.uint8)
        frames = tuple(Frame(rgb, float(second)) for second, rgb in enumerate(pixels))
        end_s = float(num_frames)
        clip = Clip(frames, end_s, 1.0, num_frames, width, height, "h264", 0.0, end_s, "default")
        return (ChatMessage("user", (VideoPart(clip), TextPart(QUESTION))),)

    def answer_s(self, messages: Messages, num_tokens: int, num_choices: int = 1) -> float:
        """Seconds from a request to its last token through the engine, greedy.

        Raises:
            EngineFailed: Or it was slow because it had to try again; says why.
            ServiceError: The engine's refusal.
            TimeoutError: No answer in five minutes.
        """
        began_s = time.monotonic()
        sampling = SamplingParams(
            max_tokens=num_tokens, min_tokens=num_tokens, num_choices=num_choices
        )
        request = GenerationRequest("bench", messages, sampling, began_s + TIME_OUT_S)
        self.complaints.last = ""
        outcome: list[ServiceError | None] = []
        has_ended = threading.Event()

        def listen(item: TokenDelta | ServiceError | None) -> None:
            if not isinstance(item, TokenDelta):
                outcome.append(item)
                has_ended.set()

        self.engine.submit(Job(request, self.model.plan(messages), num_tokens, listen))
        if not has_ended.wait(TIME_OUT_S):
            raise TimeoutError(f"the engine gave no answer within {TIME_OUT_S} s")
        ended_s = time.monotonic()
        failure = outcome[0]
        if self.complaints.last and not isinstance(failure, OutOfMemory):
            raise EngineFailed(self.complaints.last)
        if failure is not None:
            raise failure
        return ended_s - began_s


@contextmanager
def served(model: VisionLanguageModel) -> Iterator[Subject]:
    """Let an engine run the model; its thread has ended afterwards."""
    engine, complaints = Engine(model, EngineLimits(max_waiting=1)), Complaints()
    thread = threading.Thread(target=engine.run, name="device")
    engine_logger = logging.getLogger("runners.engine")
    engine_logger.addHandler(complaints)
    thread.start()
    try:
        yield Subject(model, network_of(model), engine, complaints)
    finally:
        engine.close()
        thread.join()
        engine_logger.removeHandler(complaints)
