"""VILA1.5 served: a clip in, the original's answer out."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from safetensors.torch import load_file
from transformers import LlamaTokenizer

from contracts.chat import ChatMessage, TextPart, VideoPart
from contracts.errors import ContextLengthExceeded
from contracts.generation import GenerationRequest, SamplingParams, TokenDelta
from contracts.media import Clip, Frame
from contracts.settings import Settings
from runners.transformers_runner import TransformersRunner

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"

NUM_TOKENS = 23  # the original's 24th is half a character, which is not shown

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def runner() -> AsyncIterator[TransformersRunner]:
    one = TransformersRunner(Settings.model_validate({"model": str(GOLDEN / "vila_tiny")}))
    await one.start()
    async with asyncio.timeout(120):
        while one.state == "loading":  # noqa: ASYNC110 - loading is polled
            await asyncio.sleep(0.02)
    assert one.state == "ready"
    yield one
    await one.close()


@pytest.fixture(scope="module")
def clip() -> Clip:
    pixels = load_file(GOLDEN / "vila_video8.safetensors")["frames"].numpy()
    frames = tuple(Frame(rgb, float(index)) for index, rgb in enumerate(pixels))
    return Clip(frames, 8.0, 1.0, 8, 80, 48, "h264", 0.0, 8.0, "default")


def ask(clip: Clip, text: str) -> GenerationRequest:
    message = ChatMessage("user", (VideoPart(clip), TextPart(text)))
    sampling = SamplingParams(max_tokens=NUM_TOKENS, temperature=0.0)
    return GenerationRequest("test", (message,), sampling, time.monotonic() + 120)


async def answer(runner: TransformersRunner, request: GenerationRequest) -> list[TokenDelta]:
    return [delta async for delta in runner.generate(request)]


async def test_a_clip_gets_the_original_s_answer(runner: TransformersRunner, clip: Clip) -> None:
    deltas = await answer(runner, ask(clip, "Please describe this video."))
    expected = load_file(GOLDEN / "vila_video8.safetensors")["greedy_new_tokens"]
    tokenizer = LlamaTokenizer.from_pretrained(GOLDEN / "vila_tiny" / "llm")
    assert "".join(delta.text for delta in deltas) == tokenizer.decode(expected[:NUM_TOKENS])
    usage = deltas[-1].usage
    assert usage is not None
    assert usage.completion == NUM_TOKENS


async def test_the_card_and_the_count_are_vila_s(runner: TransformersRunner, clip: Clip) -> None:
    meta = json.loads((GOLDEN / "vila_meta.json").read_text())["cases"]["video8"]
    counted = await runner.count_tokens(ask(clip, "Please describe this video.").messages)
    assert (counted.video, counted.total) == (8 * 196, meta["seq_len"])
    card = runner.require_card()
    assert (card.context_length, card.frame_policy.num_frames) == (4096, 8)


async def test_more_frames_than_the_context_holds_are_refused(
    runner: TransformersRunner, clip: Clip
) -> None:
    parts = (VideoPart(clip),) * 3
    request = GenerationRequest(
        "test", (ChatMessage("user", parts),), SamplingParams(), time.monotonic() + 120
    )
    with pytest.raises(ContextLengthExceeded, match=r"4704 video\) and the model takes 4096"):
        await answer(runner, request)
