"""How tokens are chosen, in the fields of OpenAI's chat API and of its extensions. Pure."""

import json

from contracts.answer_forms import ANY_OBJECT, AnswerForm, ChoiceForm
from contracts.errors import UnsupportedValue
from contracts.generation import SamplingParams
from runners.remote.conversation import Json
from runners.remote.server_model import ServerModel

PLAIN = SamplingParams()


def sampling_fields(sampling: SamplingParams, model: ServerModel) -> Json:
    """The fields that say what differs from the API's own defaults.

    vLLM takes a checkpoint's own defaults for what is not said, so it is told all.

    Raises:
        UnsupportedValue: The server has no words for the wished form of the answer.
    """
    fields = _openai_fields(sampling) | _extensions(sampling, is_told_all=model.kind == "vllm")
    if sampling.form is not None:
        fields |= _form(sampling.form, model)
    if _fits(sampling.max_tokens, model):
        fields["max_tokens"] = sampling.max_tokens
    return fields


def _form(form: AnswerForm, model: ServerModel) -> Json:
    if isinstance(form, ChoiceForm):
        if model.kind == "other":
            message = f"{form.path}: the model's server knows no choices; use a json_schema"
            raise UnsupportedValue(message, param=form.path)
        return {"structured_outputs": {"choice": list(form.choices)}}
    if form.schema == ANY_OBJECT:
        return {"response_format": {"type": "json_object"}}
    schema = {"name": form.name, "schema": json.loads(form.schema), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _fits(max_tokens: int, model: ServerModel) -> bool:
    """Whether such a bound leaves room for a prompt.

    Some servers refuse others; without a bound the room in the context is the bound.
    """
    if model.context_length is None or model.server_limits_answers:
        return True
    return max_tokens < model.context_length


def _openai_fields(sampling: SamplingParams) -> Json:
    fields: Json = {"temperature": sampling.temperature, "top_p": sampling.top_p}
    optional: Json = {
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "logit_bias": {str(token_id): bias for token_id, bias in sampling.logit_bias.items()},
        "stop": list(sampling.stop),
    }
    fields |= {name: value for name, value in optional.items() if value}
    if sampling.seed is not None:
        fields["seed"] = sampling.seed
    if sampling.num_choices > 1:
        fields["n"] = sampling.num_choices
    if sampling.logprobs:
        fields |= {"logprobs": True, "top_logprobs": sampling.top_logprobs}
    return fields


def _extensions(sampling: SamplingParams, *, is_told_all: bool) -> Json:
    """What vLLM, Lookout and many others know beside OpenAI's fields."""
    fields: Json = {
        "min_tokens": sampling.min_tokens,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "stop_token_ids": list(sampling.stop_token_ids),
    }
    defaults: Json = {
        "min_tokens": PLAIN.min_tokens,
        "top_k": PLAIN.top_k,
        "min_p": PLAIN.min_p,
        "repetition_penalty": PLAIN.repetition_penalty,
        "stop_token_ids": [],
    }
    return {name: fields[name] for name in fields if is_told_all or fields[name] != defaults[name]}
