"""Guesses about prompts, and totals in their parts."""

import pytest

from contracts.chat import ImagePart, VideoPart
from contracts.generation import PromptTokens
from runners.remote.estimate import estimated_tokens, prompt_tokens
from runners.remote.wire import WirePrompt
from tests.runners.test_transformers_runner import ask, clip, picture

GUESS = PromptTokens(text=10, image=60, video=30, is_estimated=True)


def test_a_guess_says_so_and_grows_with_what_is_sent() -> None:
    few = estimated_tokens(ask("Hi", ImagePart(picture())).messages, max_side_px=768)
    more = estimated_tokens(
        ask("Hi " * 50, ImagePart(picture()), VideoPart(clip(4))).messages, max_side_px=768
    )
    assert few.is_estimated
    assert (few.video, more.image) == (0, few.image)
    assert more.text > few.text
    assert (
        more.video
        == 2 * estimated_tokens(ask("Hi", VideoPart(clip(2))).messages, max_side_px=768).video
    )


@pytest.mark.parametrize(
    ("told", "parts"),
    [
        (None, PromptTokens(10, 60, 30)),
        (WirePrompt(), PromptTokens(10, 60, 30)),
        (WirePrompt(text_tokens=40, image_tokens=50, video_tokens=10), PromptTokens(40, 50, 10)),
        (WirePrompt(multimodal_tokens={"image": 30}), PromptTokens(70, 20, 10)),
    ],
)
def test_parts_are_those_told_or_in_the_guess_s_shares(
    told: WirePrompt | None, parts: PromptTokens
) -> None:
    assert prompt_tokens(100, told, GUESS) == parts


@pytest.mark.parametrize("total", [0, 5, 10])
def test_parts_are_never_more_than_the_total(total: int) -> None:
    assert prompt_tokens(total, None, GUESS) == PromptTokens(text=total)
