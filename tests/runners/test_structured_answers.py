"""Answers of a form from the demo model, which was never shown any JSON."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import jsonschema
import pytest
import pytest_asyncio
from llguidance import LLParserLimits

from contracts.answer_forms import ANY_OBJECT, AnswerForm, ChoiceForm, JsonForm
from contracts.errors import UnsupportedValue
from contracts.generation import FinishReason, TokenDelta
from contracts.settings import Settings
from runners import grammars
from runners.transformers_runner import TransformersRunner
from tests.runners.test_transformers_runner import answer, ask, loaded, text_of

SCHEMA = {
    "type": "object",
    "properties": {
        "shape": {"enum": ["circle", "square", "triangle"]},
        "colours": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 10},
            "minItems": 1,
            "maxItems": 2,
        },
        "count": {"type": "integer", "minimum": 0, "maximum": 20},
        "sure": {"type": ["boolean", "null"]},
    },
    "required": ["shape", "colours", "count", "sure"],
    "additionalProperties": False,
}
FORM = JsonForm(json.dumps(SCHEMA))
LONG: dict[str, Any] = {"max_tokens": 200}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def runner() -> AsyncIterator[TransformersRunner]:
    one = await loaded(TransformersRunner(Settings()))
    yield one
    await one.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "device"]


async def said(
    runner: TransformersRunner,
    form: AnswerForm,
    **params: Any,  # noqa: ANN401 - any field
) -> list[TokenDelta]:
    return await answer(runner, ask("What do you see?", form=form, **(LONG | params)))


@pytest.mark.parametrize("temperature", [0, 1, 2])
async def test_every_choice_is_of_the_schema(
    runner: TransformersRunner, temperature: float
) -> None:
    deltas = await said(runner, FORM, num_choices=4, temperature=temperature, seed=1)
    ends = [delta.finish_reason for delta in deltas if delta.finish_reason]
    assert ends == [FinishReason.STOP] * 4
    for index in range(4):
        jsonschema.validate(json.loads(text_of(deltas, index)), SCHEMA)


async def test_a_seed_repeats_the_answer_whatever_runs_beside_it(
    runner: TransformersRunner,
) -> None:
    wish = {"temperature": 1.5, "seed": 7}
    alone = text_of(await said(runner, FORM, **wish))
    beside = await asyncio.gather(
        said(runner, FORM, **wish),
        said(runner, JsonForm(ANY_OBJECT), max_tokens=30, temperature=1, seed=3),
        answer(runner, ask("Hello!", max_tokens=30)),
    )
    assert text_of(beside[0]) == alone


async def test_log_probabilities_cover_the_answer(runner: TransformersRunner) -> None:
    deltas = await said(runner, FORM, logprobs=True, top_logprobs=1)
    tokens = [one for delta in deltas for one in delta.logprobs]
    assert b"".join(one.chosen.token_bytes for one in tokens).decode() == text_of(deltas)
    assert all(one.chosen.logprob <= one.top[0].logprob for one in tokens)


async def test_an_answer_that_is_whole_ends_before_min_tokens(runner: TransformersRunner) -> None:
    deltas = await said(runner, FORM, min_tokens=200)
    jsonschema.validate(json.loads(text_of(deltas)), SCHEMA)
    assert deltas[-1].finish_reason is FinishReason.STOP


async def test_an_answer_that_is_cut_says_so(runner: TransformersRunner) -> None:
    deltas = await said(runner, FORM, max_tokens=4)
    assert deltas[-1].finish_reason is FinishReason.LENGTH
    assert text_of(deltas).startswith("{")


async def test_stop_strings_end_it_too(runner: TransformersRunner) -> None:
    deltas = await said(runner, FORM, stop=('"colours"',))
    assert deltas[-1].finish_reason is FinishReason.STOP
    assert json.loads(text_of(deltas).rstrip(", ") + "}")["shape"]


async def test_bias_moves_a_choice_but_not_out_of_its_form(runner: TransformersRunner) -> None:
    form = ChoiceForm(("circle", "square", "triangle"))
    texts = {text_of(await said(runner, form, temperature=2, seed=seed)) for seed in range(12)}
    assert texts <= set(form.choices)
    banned = {token_id: -100.0 for token_id in range(300)}
    assert text_of(await said(runner, form, logit_bias=banned)) in form.choices


async def test_what_no_answer_can_be_is_refused_and_the_engine_goes_on(
    runner: TransformersRunner,
) -> None:
    impossible = JsonForm('{"type": "integer", "minimum": 2, "maximum": 1}', path="here")
    with pytest.raises(UnsupportedValue, match=r"^here: expected") as caught:
        await said(runner, impossible)
    assert caught.value.param == "here"
    assert text_of(await said(runner, ChoiceForm(("ok",)))) == "ok"


async def test_a_form_that_grows_too_complex_ends_its_own_answer_alone(
    runner: TransformersRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = LLParserLimits(max_lexer_states=300, verbose_errors=False)
    monkeypatch.setattr(grammars, "LIMITS", few)
    form = JsonForm('{"type": "string", "minLength": 500, "maxLength": 600}')
    failed, other = await asyncio.gather(
        said(runner, form, temperature=2, seed=1, max_tokens=300),
        said(runner, FORM),
        return_exceptions=True,
    )
    assert isinstance(failed, UnsupportedValue)
    assert isinstance(other, list)
    jsonschema.validate(json.loads(text_of(other)), SCHEMA)
