"""A chat completion request, read from its body: what is asked, how, and what was not used.

Everything that can be refused without reading media is refused here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from pydantic import ValidationError

from api.chat_schemas import ChatBody
from api.drafts import Draft, check_counts
from api.messages import MessageRules, draft_of, unknown_part_names
from api.model_names import check_model
from api.problems import request_error
from api.response_formats import asked_form_of
from api.wire_schemas import WireSchema
from contracts.errors import (
    ConflictingParameters,
    RequestError,
    UnsupportedParameter,
    UnsupportedValue,
)
from contracts.generation import SamplingParams
from contracts.settings import Settings

TOOL_FIELDS = ("tools", "functions", "tool_choice")


ANY_MESSAGES = MessageRules()


@dataclass(frozen=True, slots=True)
class ChatRules:
    """In what the two addresses of the chat API differ; ``None`` is no rule."""

    messages: MessageRules = ANY_MESSAGES
    most_tokens: int | None = None
    default_max_tokens: int | None = None
    least_min_tokens: int = 0
    default_temperature: float = 1.0
    has_any_model: bool = False


OPENAI_RULES = ChatRules()
JPS_RULES = ChatRules(
    messages=MessageRules(max_messages=100, max_part_chars=20_000, takes_any_stream=True),
    most_tokens=4096,
    default_max_tokens=128,
    least_min_tokens=1,
    default_temperature=0.0,
    has_any_model=True,
)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What one chat completion request asks for."""

    draft: Draft
    sampling: SamplingParams
    is_streamed: bool
    has_usage_chunk: bool
    ignored: tuple[str, ...]


def read_chat(value: object, rules: ChatRules, settings: Settings) -> ChatRequest:
    """Read a parsed JSON body.

    Raises:
        RequestError: Or one of its kinds, for whatever is wrong.
    """
    if not rules.has_any_model and isinstance(value, dict):
        check_model(value.get("model"), settings)
    try:
        body = ChatBody.model_validate(value)
    except ValidationError as exc:
        raise request_error(exc) from exc
    _check_features(body)
    sampling = sampling_of(body, rules, settings)
    asked_form = asked_form_of(body)
    draft = draft_of(body, rules.messages, settings)
    check_counts(draft, settings)
    return ChatRequest(
        draft,
        replace(sampling, form=asked_form.form),
        is_streamed=bool(body.stream),
        has_usage_chunk=bool(body.stream_options and body.stream_options.include_usage),
        ignored=(*_ignored_names(body), *asked_form.ignored),
    )


def sampling_of(body: ChatBody, rules: ChatRules, settings: Settings) -> SamplingParams:
    """How the answer's tokens are chosen.

    Raises:
        RequestError, ConflictingParameters: Two wishes do not go together, or one is too great.
    """
    max_tokens = _max_tokens(body, rules, settings)
    min_tokens = _min_tokens(body, rules, max_tokens)
    _at_most("n", body.n or 1, settings.max_n)
    if body.top_logprobs and not body.logprobs:
        raise _refusal("top_logprobs", "expected logprobs true beside it")
    return SamplingParams(
        max_tokens=max_tokens,
        min_tokens=min_tokens,
        temperature=_default(body.temperature, rules.default_temperature),
        top_p=_default(body.top_p, 1.0),
        top_k=max(body.top_k or 0, 0),
        min_p=body.min_p or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        presence_penalty=body.presence_penalty or 0.0,
        repetition_penalty=_default(body.repetition_penalty, 1.0),
        logit_bias=_frozen(body.logit_bias),
        stop=tuple(body.stop or ()),
        stop_token_ids=tuple(body.stop_token_ids or ()),
        seed=body.seed,
        num_choices=body.n or 1,
        logprobs=bool(body.logprobs),
        top_logprobs=body.top_logprobs or 0,
    )


def _max_tokens(body: ChatBody, rules: ChatRules, settings: Settings) -> int:
    first, second = body.max_completion_tokens, body.max_tokens
    if first is not None and second is not None and first != second:
        raise ConflictingParameters(
            f"max_completion_tokens {first} and max_tokens {second} are one thing; send one",
            param="max_tokens",
        )
    asked = first or second or rules.default_max_tokens or settings.max_new_tokens
    if rules.most_tokens is not None:
        _at_most("max_tokens", asked, rules.most_tokens)
    return min(asked, settings.max_new_tokens)


def _min_tokens(body: ChatBody, rules: ChatRules, max_tokens: int) -> int:
    if body.min_tokens is None:
        return rules.least_min_tokens
    if body.min_tokens < rules.least_min_tokens:
        kind = "greater_than_equal"
        raise _refusal("min_tokens", f"expected >= {rules.least_min_tokens}", kind)
    _at_most("min_tokens", body.min_tokens, max_tokens)
    return body.min_tokens


def _check_features(body: ChatBody) -> None:
    if body.stream_options is not None and not body.stream:
        raise _refusal("stream_options", "expected stream true beside it")
    if body.tool_choice not in (None, "none", "auto"):
        raise UnsupportedParameter(
            "tool_choice: the model calls no tools; expected none or auto", param="tool_choice"
        )
    if any(modality != "text" for modality in body.modalities or ()):
        raise UnsupportedValue('modalities: expected ["text"]', param="modalities")


def _ignored_names(body: ChatBody) -> Iterator[str]:
    yield from (name for name in TOOL_FIELDS if getattr(body, name) not in (None, [], ""))
    yield from body.unknown_names()
    inner: Mapping[str, WireSchema | None] = {
        "stream_options": body.stream_options,
        "response_format": body.response_format,
        "response_format.json_schema": body.response_format and body.response_format.json_schema,
        "media_io_kwargs": body.media_io_kwargs,
        "media_io_kwargs.video": body.media_io_kwargs and body.media_io_kwargs.video,
        "mm_processor_kwargs": body.mm_processor_kwargs,
    }
    for path, schema in inner.items():
        yield from (f"{path}.{name}" for name in (schema.unknown_names() if schema else ()))
    yield from unknown_part_names(body)


def _at_most(name: str, value: int, limit: int) -> None:
    if value > limit:
        raise _refusal(name, f"expected <= {limit}", "less_than_equal")


def _refusal(name: str, expectation: str, kind: str = "value_error") -> RequestError:
    return RequestError(f"{name}: {expectation} ({kind})", param=name)


def _default(value: float | None, default: float) -> float:
    return default if value is None else value


def _frozen(bias: Mapping[int, float] | None) -> Mapping[int, float]:
    return MappingProxyType(dict(bias or {}))
