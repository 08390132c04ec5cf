"""A device that runs out of memory: the request is tried again or refused, the next one works."""

import queue
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from contracts.chat import ChatMessage, TextPart
from contracts.errors import OutOfMemory, RunnerError, ServiceError
from contracts.generation import GenerationRequest, PromptTokens, SamplingParams, TokenDelta
from llava_custom import Embedded, LoadOptions, VisionLanguageModel, load_checkpoint
from llava_custom.kv_rows import RowStep
from llava_custom.lean_reading import Stretch
from runners.caches import Caches
from runners.engine import Engine
from runners.jobs import Job
from runners.prefix_cache import PrefixCache
from runners.shortage import out_of_memory
from runners.vision_cache import VisionCache
from tests.runners.engine_room import Asked, one_by_one, turning

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT.parent / "shared" / "golden" / "llava_video_tiny"
MESSAGES = (ChatMessage("user", (TextPart("What is this?"),)),)
TOO_MUCH = 1 << 60  # bytes; no allocator has them


class Crowded:
    """A loaded model on a device that is full for some of its steps.

    Everything is the model's own, but that the named steps first allocate what cannot be had, each
    as often as it is told.
    """

    def __init__(self, model: VisionLanguageModel, **failures: int) -> None:
        self.model = model
        self.calls: list[str] = []
        self.device, self.tokenizer = model.device, model.tokenizer
        self.context_length, self.frame_policy = model.context_length, model.frame_policy
        self.vocab_size, self.eos_token_ids = model.vocab_size, model.eos_token_ids
        self.kv_bytes_per_token, self.knows_video = model.kv_bytes_per_token, model.knows_video
        self.report, self.reads_together = model.report, model.reads_together
        self.plan, self.encoding = model.plan, model.encoding
        self.encode, self.embed = model.encode, model.embed
        self.blank_block = model.blank_block
        self.new_kv_cache = model.new_kv_cache
        self._failures = failures

    def prefill(self, embedded: Embedded, kv_cache: DynamicCache) -> Tensor:
        self._fill("prefill")
        return self.model.prefill(embedded, kv_cache)

    def prefill_together(self, stretches: Sequence[Stretch]) -> Tensor:
        self._fill("prefill_together")
        return self.model.prefill_together(stretches)

    def prefill_packed(self, rests: Sequence[Embedded], kv_cache: DynamicCache) -> Tensor:
        self._fill("prefill_packed")
        return self.model.prefill_packed(rests, kv_cache)

    def decode_step(
        self, token_ids: Tensor, positions: Tensor, kv_cache: DynamicCache | RowStep
    ) -> Tensor:
        self._fill("decode_step")
        return self.model.decode_step(token_ids, positions, kv_cache)

    def fail(self, step: str) -> None:
        """Be full for one more step of that name."""
        self._failures[step] = self._failures.get(step, 0) + 1

    def _fill(self, step: str) -> None:
        self.calls.append(step)
        if self._failures.get(step, 0):
            self._failures[step] -= 1
            torch.empty(TOO_MUCH, dtype=torch.uint8)


@pytest.fixture(scope="module")
def model() -> VisionLanguageModel:
    return load_checkpoint(str(GOLDEN), LoadOptions())


def answer(engine: Engine, model: Crowded, **params: object) -> list[TokenDelta]:
    """The deltas of one answer.

    Raises:
        ServiceError: The engine's.
    """
    items: queue.Queue[TokenDelta | ServiceError | None] = queue.Queue()
    sampling = SamplingParams(max_tokens=6, min_tokens=6, **params)  # type: ignore[arg-type]
    request = GenerationRequest("test", MESSAGES, sampling, time.monotonic() + 60)
    engine.submit(Job(request, model.plan(MESSAGES), 6, items.put))
    deltas = []
    while (item := items.get(timeout=60)) is not None:
        if isinstance(item, ServiceError):
            raise item
        deltas.append(item)
    return deltas


def text(deltas: list[TokenDelta]) -> str:
    return "".join(delta.text for delta in deltas)


@pytest.fixture
def expected(model: VisionLanguageModel) -> str:
    alone = Crowded(model)
    with turning(alone) as engine:
        return text(answer(engine, alone))


def test_a_prompt_that_does_not_fit_is_tried_once_more(
    model: VisionLanguageModel, expected: str
) -> None:
    crowded = Crowded(model, prefill=1)
    with turning(crowded) as engine:
        deltas = answer(engine, crowded)
    assert text(deltas) == expected
    assert [delta.text for delta in deltas if delta.usage] == ["", deltas[-1].text]
    assert crowded.calls.count("prefill") == 2


def test_what_is_kept_makes_room_first(model: VisionLanguageModel, expected: str) -> None:
    crowded, caches = Crowded(model), Caches(VisionCache(10**8), PrefixCache(10**8))
    with turning(crowded, caches=caches) as engine:
        replies = [answer(engine, crowded) for _ in range(2)]
        crowded.fail("prefill")
        replies += [answer(engine, crowded) for _ in range(2)]
    assert [text(deltas) for deltas in replies] == [expected] * 4
    usages = [deltas[-1].usage for deltas in replies]
    assert [usage is not None and usage.cached > 0 for usage in usages] == [
        False, True, False, True,
    ]  # fmt: skip


def test_a_prompt_that_fails_twice_is_refused_and_the_next_is_answered(
    model: VisionLanguageModel, expected: str
) -> None:
    crowded = Crowded(model, prefill=2)
    with turning(crowded) as engine:
        with pytest.raises(OutOfMemory, match=r"the \d+ tokens of this prompt"):
            answer(engine, crowded)
        assert text(answer(engine, crowded)) == expected


def test_an_answer_that_has_begun_ends_with_the_error(
    model: VisionLanguageModel, expected: str
) -> None:
    crowded = Crowded(model, decode_step=1)
    with turning(crowded) as engine:
        with pytest.raises(OutOfMemory):
            answer(engine, crowded, logprobs=True)
        assert crowded.calls == ["prefill", "decode_step"]
        assert text(answer(engine, crowded)) == expected


def test_an_answer_of_which_nothing_was_shown_begins_again(model: VisionLanguageModel) -> None:
    crowded = Crowded(model, decode_step=1)
    first_of_three_bytes = model.tokenizer.convert_tokens_to_ids("\u00e2")  # 0xE2, shown later
    with turning(crowded) as engine:
        deltas = answer(engine, crowded, logit_bias={first_of_three_bytes: 100.0})
    assert crowded.calls[:3] == ["prefill", "decode_step", "prefill"]
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.completion == 6


def test_the_largest_answer_makes_room_for_the_others(
    model: VisionLanguageModel,
) -> None:
    sampling = SamplingParams(max_tokens=40, min_tokens=40, logprobs=True)
    small = (ChatMessage("user", (TextPart("a"),)),)
    large = (ChatMessage("user", (TextPart("a b c d e f g h " * 40),)),)
    expected = one_by_one(model, [Asked(small, sampling)] * 2)
    asked = [Asked(small, sampling), Asked(large, sampling), Asked(small, sampling)]

    class Filling(Crowded):
        def _fill(self, step: str) -> None:
            super()._fill(step)
            if self.calls.count("decode_step") == 20:
                self._failures["decode_step"] = 1

    crowded = Filling(model)
    with turning(crowded) as engine:
        for one in asked:
            one.submit(engine, crowded)
        with pytest.raises(OutOfMemory):
            asked[1].answers()
        assert [asked[0].answers(), asked[2].answers()] == expected


def test_another_failure_stays_a_fault_of_ours(model: VisionLanguageModel) -> None:
    class Broken(Crowded):
        def _fill(self, step: str) -> None:
            raise RuntimeError("shape")

    broken = Broken(model)
    with turning(broken) as engine, pytest.raises(RunnerError) as caught:
        answer(engine, broken)
    assert not isinstance(caught.value, OutOfMemory)


class Stumbling(Crowded):
    """Fails for no lack of memory, at the steps of these numbers."""

    def __init__(self, model: VisionLanguageModel, *failing: int) -> None:
        super().__init__(model)
        self.failing = failing

    def decode_step(
        self, token_ids: Tensor, positions: Tensor, kv_cache: DynamicCache | RowStep
    ) -> Tensor:
        logits = super().decode_step(token_ids, positions, kv_cache)
        if self.calls.count("decode_step") in self.failing:
            raise RuntimeError("a kernel failed")
        return logits


def test_a_step_that_fails_once_is_taken_again(model: VisionLanguageModel, expected: str) -> None:
    stumbling = Stumbling(model, 2, 4)
    with turning(stumbling) as engine:
        deltas = answer(engine, stumbling)
    assert text(deltas) == expected
    assert stumbling.calls == ["prefill", *["decode_step"] * 7]  # five, and two again


def test_a_step_that_fails_twice_ends_the_answers_and_the_next_are_given(
    model: VisionLanguageModel, expected: str
) -> None:
    stumbling = Stumbling(model, 2, 3)
    with turning(stumbling) as engine:
        with pytest.raises(RunnerError):
            answer(engine, stumbling)
        assert text(answer(engine, stumbling)) == expected


@pytest.mark.parametrize(
    ("tokens", "num_choices", "said"),
    [
        (PromptTokens(100, 0, 13_440), 1, "send fewer frames"),
        (PromptTokens(100, 7_000, 0), 1, "send fewer or smaller pictures"),
        (PromptTokens(20_000, 0, 420), 1, "send less text"),
        (PromptTokens(20, 0, 210), 4, "for 4 answers.*fewer frames, or ask for fewer answers"),
    ],
)
def test_the_refusal_says_what_was_asked_and_what_fits(
    tokens: PromptTokens, num_choices: int, said: str
) -> None:
    error = out_of_memory(
        tokens, num_choices=num_choices, kv_bytes_per_token=1 << 30, device=torch.device("cpu")
    )
    asked = rf"{tokens.total} tokens of this prompt .*about \d+ tokens fit"
    assert re.search(asked, error.message)
    assert re.search(said, error.message)


LIMITED = """
import asyncio, resource, sys
sys.path.insert(0, ".")
from tests.runners.test_transformers_runner import answer, ask, loaded, settings
from contracts.errors import OutOfMemory
from pathlib import Path
from runners.transformers_runner import TransformersRunner

MB = 1 << 20

async def main():
    runner = await loaded(TransformersRunner(settings()))
    await answer(runner, ask("warm up", max_tokens=4))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 24 * MB
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        await answer(runner, ask("word " * 5000, max_tokens=4, num_choices=8))
    except OutOfMemory as exc:
        print("refused:", exc.message)
    deltas = await answer(runner, ask("hello", max_tokens=4, min_tokens=4))
    print("answered:", deltas[-1].usage.completion)
    await runner.close()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_a_process_at_its_limit_refuses_one_request_and_answers_the_next() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], cwd=ROOT, capture_output=True, text=True, timeout=200,
        check=False,
    )  # fmt: skip
    assert "refused: the device has no memory for the" in done.stdout, done.stdout + done.stderr
    assert "answered: 4" in done.stdout
