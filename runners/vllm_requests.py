"""Requests in vLLM's words: conversations with pictures in them, and how tokens are chosen.

A clip becomes pictures with their times: whether and how models take videos differs in vLLM.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from PIL import Image

from contracts.answer_forms import ANY_OBJECT, AnswerForm, ChoiceForm
from contracts.chat import ChatMessage, Part, TextPart, VideoPart
from contracts.generation import PromptTokens, SamplingParams
from contracts.media import U8
from runners.frame_times import frame_times

Json = dict[str, object]


def vllm_messages(messages: Sequence[ChatMessage]) -> list[Json]:
    """A conversation as vLLM's renderer takes it, pictures as they are."""
    return [
        {"role": message.role, "content": list(chain.from_iterable(map(_pieces, message.parts)))}
        for message in messages
    ]


def prompt_tokens(messages: Sequence[ChatMessage], rendered: Any) -> PromptTokens:  # noqa: ANN401
    """What a rendered prompt is made of: vLLM says what each picture takes, in order."""
    total = len(rendered["prompt_token_ids"])
    ranges = (rendered.get("mm_placeholders") or {}).get("image", [])
    kinds = chain.from_iterable(map(_kinds, chain.from_iterable(m.parts for m in messages)))
    lengths = {"image": 0, "video": 0}
    for kind, one in zip(kinds, ranges, strict=True):
        lengths[kind] += one.length
    return PromptTokens(total - sum(lengths.values()), lengths["image"], lengths["video"])


def sampling_fields(sampling: SamplingParams, *, max_tokens: int) -> dict[str, Any]:
    """The arguments of vLLM's ``SamplingParams``, but for the form of the answer."""
    return {
        "n": sampling.num_choices,
        "max_tokens": max_tokens,
        "min_tokens": sampling.min_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "repetition_penalty": sampling.repetition_penalty,
        "logit_bias": dict(sampling.logit_bias) or None,
        "stop": list(sampling.stop) or None,
        "stop_token_ids": list(sampling.stop_token_ids) or None,
        "seed": sampling.seed,
        "logprobs": sampling.top_logprobs if sampling.logprobs else None,
    }


def form_fields(form: AnswerForm) -> dict[str, Any]:
    """The arguments of vLLM's ``StructuredOutputsParams``."""
    if isinstance(form, ChoiceForm):
        return {"choice": list(form.choices)}
    if form.schema == ANY_OBJECT:
        return {"json_object": True}
    return {"json": json.loads(form.schema)}


def _pieces(part: Part) -> Iterator[Json]:
    if isinstance(part, TextPart):
        yield {"type": "text", "text": part.text}
    elif isinstance(part, VideoPart):
        yield {"type": "text", "text": frame_times(part.clip)}
        yield from (_picture(frame.rgb) for frame in part.clip.frames)
    else:
        yield _picture(part.picture.rgb)


def _kinds(part: Part) -> Iterator[str]:
    """Of each picture that a part becomes."""
    if isinstance(part, VideoPart):
        yield from ("video" for _ in part.clip.frames)
    elif not isinstance(part, TextPart):
        yield "image"


def _picture(rgb: U8) -> Json:
    return {"type": "image_pil", "image_pil": Image.fromarray(rgb)}
