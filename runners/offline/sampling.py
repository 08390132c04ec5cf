"""How answers to prompts are sampled: one way for all, or one for each, checked like a request."""

from collections.abc import Sequence
from dataclasses import fields, replace

from pydantic import ValidationError

from api.chat_request import OPENAI_RULES, sampling_of
from api.chat_schemas import ChatBody
from api.json_text import parse_json
from api.problems import request_error
from api.response_formats import asked_form_of
from contracts.answer_forms import AnswerForm, ChoiceForm, JsonForm
from contracts.errors import RequestError
from contracts.generation import SamplingParams
from contracts.settings import Settings
from runners.offline.pixels import PromptError

ANY_MESSAGE = {"role": "user", "content": ""}


def sampling_of_each(
    sampling: SamplingParams | Sequence[SamplingParams], num_prompts: int, settings: Settings
) -> list[SamplingParams]:
    """The way for each prompt.

    Raises:
        PromptError: There are fewer or more than prompts, or one is out of range.
    """
    if isinstance(sampling, SamplingParams):
        return [_checked(sampling, "sampling", settings)] * num_prompts
    if len(sampling) != num_prompts:
        raise PromptError(
            f"sampling: expected one SamplingParams for all or {num_prompts}, got {len(sampling)}"
        )
    return [_checked(one, f"sampling[{i}]", settings) for i, one in enumerate(sampling)]


def _checked(sampling: SamplingParams, at: str, settings: Settings) -> SamplingParams:
    """Within the ranges of the chat API, which are written down in its schema only."""
    if not isinstance(sampling, SamplingParams):
        raise PromptError(f"{at}: expected SamplingParams, got {type(sampling).__name__}")
    if not 1 <= sampling.num_choices <= settings.max_n:
        raise PromptError(f"{at}.num_choices: expected 1 to {settings.max_n} (max_n)")
    wishes = {field.name: getattr(sampling, field.name) for field in fields(sampling)}
    wishes |= {"logit_bias": dict(sampling.logit_bias), "stop": list(sampling.stop)}
    wishes |= {"stop_token_ids": list(sampling.stop_token_ids), "messages": [ANY_MESSAGE]}
    try:
        body = ChatBody.model_validate(wishes | _wished_form(sampling.form))
        asked = sampling_of(body, OPENAI_RULES, settings)
        form = asked_form_of(body).form
    except ValidationError as exc:
        raise PromptError(f"{at}.{request_error(exc).message}") from exc
    except RequestError as exc:
        raise PromptError(f"{at}.{exc.message}") from exc
    return replace(asked, num_choices=sampling.num_choices, form=form)


def _wished_form(form: AnswerForm | None) -> dict[str, object]:
    """The form as the chat API asks for it; keywords that are not enforced are refused."""
    match form:
        case JsonForm():
            schema = parse_json(form.schema, param="form.schema")
            described = {"name": form.name, "schema": schema, "strict": True}
            return {"response_format": {"type": "json_schema", "json_schema": described}}
        case ChoiceForm():
            return {"structured_outputs": {"choice": list(form.choices)}}
        case None:
            return {}
