"""Requests in vLLM's words; vLLM itself is asked in ``test_runner_contract``."""

from dataclasses import dataclass
from typing import Any, cast

from PIL.Image import Image

from contracts.answer_forms import ANY_OBJECT, ChoiceForm, JsonForm
from contracts.chat import ChatMessage, ImagePart, TextPart, VideoPart
from contracts.generation import PromptTokens, SamplingParams
from runners.vllm_requests import form_fields, prompt_tokens, sampling_fields, vllm_messages
from tests.runners.test_transformers_runner import clip, picture

SAID = (
    ChatMessage("system", (TextPart("Be brief."),)),
    ChatMessage("user", (ImagePart(picture()), VideoPart(clip(2)), TextPart("Which?"))),
)


@dataclass
class Place:
    length: int


def test_a_clip_is_pictures_after_their_times() -> None:
    system, user = vllm_messages(SAID)
    assert system == {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}
    content = cast(list[dict[str, Any]], user["content"])
    image, times, first, second, question = content
    assert isinstance(image["image_pil"], Image)
    assert image["image_pil"].size == (60, 40)
    assert "0.00s, 1.00s" in times["text"]
    assert first["image_pil"].size == second["image_pil"].size == (80, 48)
    assert question["text"] == "Which?"


def test_tokens_of_pictures_go_to_what_they_are() -> None:
    prompt = {
        "prompt_token_ids": [1] * 40,
        "mm_placeholders": {"image": [Place(3), Place(5), Place(7)]},
    }
    assert prompt_tokens(SAID, prompt) == PromptTokens(text=25, image=3, video=12)
    assert prompt_tokens(SAID[:1], {"prompt_token_ids": [1, 2]}) == PromptTokens(text=2)


def test_greedy_is_told_as_such_and_nothing_is_left_to_the_checkpoint() -> None:
    fields = sampling_fields(SamplingParams(), max_tokens=5)
    assert fields["temperature"] == 0
    assert (fields["max_tokens"], fields["repetition_penalty"]) == (5, 1.0)
    assert (fields["logprobs"], fields["stop"], fields["logit_bias"]) == (None, None, None)
    assert sampling_fields(SamplingParams(logprobs=True), max_tokens=5)["logprobs"] == 0


def test_forms_go_through() -> None:
    assert form_fields(JsonForm(ANY_OBJECT)) == {"json_object": True}
    assert form_fields(JsonForm('{"type":"array"}')) == {"json": {"type": "array"}}
    assert form_fields(ChoiceForm(("a", "b"))) == {"choice": ["a", "b"]}
