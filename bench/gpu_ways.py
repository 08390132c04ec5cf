"""Ways to compute the same answer with the same weights; each function gives seconds of one run.

``engine`` is what a request meets: a job on the device thread, one request with as many choices as
the batch has rows. ``decode step`` is the model family alone, without drawing tokens and making
text. ``generate`` is transformers', on embeddings that the model family computed, a prompt a row;
``encode`` is that family's part of it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria

from bench.gpu_device import Stopwatch
from bench.gpu_subject import Messages, Subject
from llava_custom import Embedded
from llava_custom.device_clock import seconds_of
from runners.passes import PREFILL_CHUNK


class Marks(StoppingCriteria):  # type: ignore[misc]  # transformers is untyped here
    """Stops nothing; marks the moment of every token."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self._stopwatch = stopwatch

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:  # noqa: ANN401
        """No row ends here; the shape (B,) is ``generate``'s wish."""
        self._stopwatch.mark()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def engine_first_s(subject: Subject, num_frames: int) -> list[float]:
    """From a request to its first token."""
    return [subject.answer_s(subject.ask(num_frames), 1)]


def generate_first_s(subject: Subject, num_frames: int) -> list[float]:
    """From frames to the first token of ``generate``."""
    question, stopwatch = subject.ask(num_frames), Stopwatch(subject.device)

    def answer() -> None:
        generate(subject, embedded(subject, question).inputs_embeds, 1, stopwatch)

    return [seconds_of(subject.device, answer)]


def encode_s(subject: Subject, num_frames: int) -> list[float]:
    """From frames to the prompt's embeddings."""
    question = subject.ask(num_frames)
    return [seconds_of(subject.device, lambda: embedded(subject, question))]


def engine_steps_s(
    subject: Subject, num_frames: int, batch_size: int, num_tokens: int
) -> list[float]:
    """A long answer less one of a token, by the steps between them."""
    first_s, last_s = (
        subject.answer_s(subject.ask(num_frames), length, batch_size) for length in (1, num_tokens)
    )
    return [(last_s - first_s) / (num_tokens - 1)]


def decode_steps_s(
    subject: Subject, num_frames: int, batch_size: int, num_tokens: int
) -> list[float]:
    """Every step after a prompt that is read once and copied for each row."""
    model, kv_cache = subject.model, subject.model.new_kv_cache()
    stopwatch = Stopwatch(subject.device)
    prompt = embedded(subject, subject.ask(num_frames))
    for stretch in prompt.split(PREFILL_CHUNK):
        logits = model.prefill(stretch, kv_cache)
    kv_cache.batch_repeat_interleave(batch_size)
    token_ids = logits.argmax(-1).expand(batch_size)
    positions = torch.full_like(token_ids, prompt.next_position)
    stopwatch.mark()
    for step in range(num_tokens - 1):
        token_ids = model.decode_step(token_ids, positions + step, kv_cache).argmax(-1)
        stopwatch.mark()
    return stopwatch.laps_s()


def generate_steps_s(
    subject: Subject, num_frames: int, batch_size: int, num_tokens: int
) -> list[float]:
    """Every step of ``generate`` after its first token."""
    stopwatch = Stopwatch(subject.device)
    inputs_embeds = embedded(subject, subject.ask(num_frames)).inputs_embeds
    inputs_embeds = inputs_embeds.expand(batch_size, -1, -1)
    generate(subject, inputs_embeds, num_tokens, stopwatch)
    return stopwatch.laps_s()


FIRST_TOKEN: Mapping[str, Callable[[Subject, int], list[float]]] = {
    "engine": engine_first_s,
    "generate": generate_first_s,
    "encode": encode_s,
}
STEPS: Mapping[str, Callable[[Subject, int, int, int], list[float]]] = {
    "engine": engine_steps_s,
    "decode step": decode_steps_s,
    "generate": generate_steps_s,
}


def embedded(subject: Subject, messages: Messages) -> Embedded:
    """A question as the language model reads it."""
    prompt = subject.model.plan(messages)
    return subject.model.embed(prompt, [subject.model.encode(v) for v in prompt.visuals])


@torch.inference_mode()
def generate(
    subject: Subject, inputs_embeds: Tensor, num_tokens: int, stopwatch: Stopwatch
) -> None:
    """Let transformers continue the embeddings (B, T, D) by exactly so many tokens, greedy."""
    subject.network.generator.generate(
        inputs_embeds=inputs_embeds,
        attention_mask=torch.ones(
            inputs_embeds.shape[:2], device=subject.device, dtype=torch.int64
        ),
        do_sample=False,
        min_new_tokens=num_tokens,
        max_new_tokens=num_tokens,
        pad_token_id=0,
        stopping_criteria=[Marks(stopwatch)],
    )
