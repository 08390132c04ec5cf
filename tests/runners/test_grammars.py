"""Random answers, token by token: whatever is drawn, the answer has the form."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLParserLimits
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import GemmaTokenizer, LlamaTokenizer, PreTrainedTokenizerFast

from contracts.answer_forms import ANY_OBJECT, AnswerForm, ChoiceForm, JsonForm
from contracts.errors import UnsupportedValue
from contracts.settings import DEMO_MODEL
from runners import grammars
from runners.grammars import GrammarCompiler, GrammarMask
from runners.text import GrowingText
from tests.runners.hub.tiny_tokenizers import byte_fallback

VOCAB_SIZE = 1030  # some more logits than tokens, as many checkpoints have
EOS = frozenset({0, 2})
MAX_TOKENS = 4000
GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"

TOKENIZER = PreTrainedTokenizerFast(tokenizer_file=str(DEMO_MODEL / "tokenizer.json"))
ENDERS = EOS | set(TOKENIZER.convert_tokens_to_ids(list('"]}')))

Schema = dict[str, Any]


@pytest.fixture(scope="module")
def compiler() -> GrammarCompiler:
    return GrammarCompiler(TOKENIZER, vocab_size=VOCAB_SIZE, eos_token_ids=EOS)


def allowed(mask: GrammarMask, vocab_size: int = VOCAB_SIZE) -> list[int]:
    return torch.isfinite(mask.apply(torch.zeros(vocab_size))).nonzero().flatten().tolist()


def draw(token_ids: list[int], rng: random.Random) -> int:
    """Anything, but now and then what ends a text, a list, an object or the answer."""
    enders = [token_id for token_id in token_ids if token_id in ENDERS]
    return rng.choice(enders if enders and rng.random() < 0.3 else token_ids)


def answer(compiler: GrammarCompiler, form: AnswerForm, rng: random.Random) -> str:
    mask = compiler.compile(form).new_mask()
    drawn: list[int] = []
    while not mask.is_complete:
        assert len(drawn) < MAX_TOKENS
        token_id = draw(allowed(mask), rng)
        mask.accept(token_id)
        if token_id not in EOS:
            drawn.append(token_id)
    return str(TOKENIZER.backend_tokenizer.decode(drawn))


scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


def bounds(least: str, most: str, numbers: st.SearchStrategy[int]) -> st.SearchStrategy[Schema]:
    """Both bounds, one of them, or none."""
    pairs = st.tuples(numbers, numbers).map(sorted)
    both = pairs.map(lambda pair: {least: pair[0], most: pair[1]})
    return both | pairs.map(lambda pair: {most: pair[1]}) | st.just({})


def typed(name: str, rest: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return rest.map(lambda schema: {"type": name, **schema})


leaves = st.one_of(
    st.sampled_from(["null", "boolean"]).map(lambda name: {"type": name}),
    typed("number", bounds("minimum", "maximum", st.integers(-100, 100))),
    typed("integer", bounds("minimum", "maximum", st.integers(-(10**12), 10**12))),
    typed("string", bounds("minLength", "maxLength", st.integers(0, 12))),
    st.just({"type": ["string", "null"], "maxLength": 3}),
    values.map(lambda value: {"const": value}),
    st.lists(values, min_size=1, max_size=4).map(lambda some: {"enum": some}),
)


def lists(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    sizes = bounds("minItems", "maxItems", st.integers(0, 4))
    plain = st.builds(lambda items, size: {"items": items, **size}, inner, sizes)
    first = st.lists(inner, min_size=1, max_size=3)
    tuples = first.map(lambda some: {"prefixItems": some, "items": False, "minItems": len(some)})
    return typed("array", plain | tuples)


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[Schema]) -> Schema:
    properties = draw(st.dictionaries(st.text(max_size=6), inner, max_size=4))
    required = [name for name in properties if draw(st.booleans())]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": draw(st.just(False) | inner),
    }


schemas = st.recursive(
    leaves,
    lambda inner: (
        lists(inner)
        | objects(inner)
        | st.lists(inner, min_size=1, max_size=3).map(lambda some: {"anyOf": some})
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, database=None)
@given(schema=schemas, seed=st.integers(0, 2**32))
def test_every_answer_is_of_its_schema(
    compiler: GrammarCompiler, schema: Schema, seed: int
) -> None:
    said = answer(compiler, JsonForm(json.dumps(schema)), random.Random(seed))
    jsonschema.validate(json.loads(said), schema, cls=jsonschema.Draft202012Validator)


NODE = {
    "type": "object",
    "properties": {
        "value": {"type": "integer"},
        "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    },
    "required": ["value", "next"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("seed", range(10))
def test_schemas_may_contain_themselves(compiler: GrammarCompiler, seed: int) -> None:
    said = answer(compiler, JsonForm(json.dumps(NODE)), random.Random(seed))
    jsonschema.validate(json.loads(said), NODE)


@pytest.mark.parametrize("seed", range(10))
def test_any_object_is_an_object(compiler: GrammarCompiler, seed: int) -> None:
    said = answer(compiler, JsonForm(ANY_OBJECT), random.Random(seed))
    assert isinstance(json.loads(said), dict)


def sentencepiece() -> PreTrainedTokenizerFast:
    """As Llama's: a blank that begins the text is not shown."""
    vocabulary, merges = byte_fallback(["<unk>", "<s>", "</s>"])
    return LlamaTokenizer(vocabulary, merges)


def gemma() -> PreTrainedTokenizerFast:
    """The same, but every blank is shown."""
    vocabulary, merges = byte_fallback(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"])
    return GemmaTokenizer(vocabulary, merges)


def original() -> PreTrainedTokenizerFast:
    """Of a VILA checkpoint: read from a sentencepiece model."""
    return LlamaTokenizer.from_pretrained(GOLDEN / "vila_tiny" / "llm")


@pytest.mark.parametrize("make", [sentencepiece, gemma, original])
@pytest.mark.parametrize(
    "form",
    [
        JsonForm(json.dumps({"type": "string", "maxLength": 12})),
        JsonForm(json.dumps({"enum": [{"ä": "b c"}, " ", "日本"]})),
        ChoiceForm(("cat", " dog", "日本 x")),
    ],
)
def test_every_tokenizer_can_write_it(
    make: Callable[[], PreTrainedTokenizerFast], form: AnswerForm
) -> None:
    tokenizer = make()
    (eos,) = eos_ids = [tokenizer.eos_token_id]
    compiler = GrammarCompiler(tokenizer, vocab_size=len(tokenizer), eos_token_ids=eos_ids)
    for seed in range(30):
        rng, mask = random.Random(seed), compiler.compile(form).new_mask()
        growing, said = GrowingText(tokenizer.backend_tokenizer), ""
        while not mask.is_complete:
            token_id = rng.choice(allowed(mask, len(tokenizer)))
            mask.accept(token_id)
            said += growing.push(token_id).text if token_id != eos else ""
        said += growing.flush().text
        if isinstance(form, ChoiceForm):
            assert said in form.choices
        else:
            jsonschema.validate(json.loads(said), json.loads(form.schema))


def test_a_tokenizer_that_cannot_follow_a_form_serves_everything_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = Tokenizer(WordLevel({"a": 0, "b": 1}, unk_token="a"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words)
    compiler = GrammarCompiler(tokenizer, vocab_size=2, eos_token_ids=[1])
    assert "refused" in caplog.text
    with pytest.raises(UnsupportedValue, match="tokenizer"):
        compiler.compile(ChoiceForm(("a",)))


CHOICES = ("re", "red", "Grün", 'say "x"\n\\', "\u0001", "{}", "日本", " a")


def test_every_choice_can_come_and_nothing_else(compiler: GrammarCompiler) -> None:
    rng = random.Random(1)
    assert {answer(compiler, ChoiceForm(CHOICES), rng) for _ in range(200)} == set(CHOICES)


def test_properties_come_in_the_order_of_the_schema(compiler: GrammarCompiler) -> None:
    one = {"const": 1}
    schema = {"type": "object", "properties": {"b": one, "a": one}, "required": ["a", "b"]}
    closed = schema | {"additionalProperties": False}
    said = answer(compiler, JsonForm(json.dumps(closed)), random.Random(1))
    assert list(json.loads(said)) == ["b", "a"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "integer", "const": "x"},
        {"type": "object", "properties": {"a": False}, "required": ["a"]},
        {"anyOf": [{"maxLength": i} for i in range(1, 200)], "oneOf": [{"minLength": 1}] * 200},
        {"anyOf": [{"type": "string", "maxLength": 1000 + i} for i in range(1000)]},
    ],
)
def test_what_no_answer_can_be_or_is_too_complex_is_refused(
    compiler: GrammarCompiler, schema: Schema
) -> None:
    with pytest.raises(UnsupportedValue, match=r"text\.format: expected") as caught:
        compiler.compile(JsonForm(json.dumps(schema), path="text.format"))
    assert caught.value.param == "text.format"


def test_a_grammar_is_compiled_once_while_it_is_fresh(
    compiler: GrammarCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = ChoiceForm(("yes", "no"))
    first = compiler.compile(form)
    assert compiler.compile(ChoiceForm(("yes", "no"), path="elsewhere")) is first
    monkeypatch.setattr(grammars, "MAX_USES", 0)
    answer(compiler, form, random.Random(1))
    assert compiler.compile(form) is not first


def test_the_latest_grammars_are_kept(compiler: GrammarCompiler) -> None:
    forms = [ChoiceForm((str(number),)) for number in range(grammars.MAX_GRAMMARS + 1)]
    first, *rest = [compiler.compile(form) for form in forms]
    assert [compiler.compile(form) for form in forms[1:]] == rest
    assert compiler.compile(forms[0]) is not first


def test_grammars_that_grow_large_leave_others_less_room(
    compiler: GrammarCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = [ChoiceForm((f"{number} is a number",)) for number in range(4)]
    compiled = [compiler.compile(form) for form in forms[:3]]
    room = sum(grammar.num_bytes for grammar in compiled)
    monkeypatch.setattr(grammars, "MAX_KEPT_BYTES", room)
    assert [compiler.compile(form) for form in forms[:3]] == compiled
    answer(compiler, forms[2], random.Random(1))
    assert compiler.compile(forms[1]) is compiled[1]  # and the oldest has left
    assert compiler.compile(forms[2]) is compiled[2]
    assert compiler.compile(forms[0]) is not compiled[0]


def test_a_grammar_larger_than_all_room_is_kept_alone(
    compiler: GrammarCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grammars, "MAX_KEPT_BYTES", 1)
    first = compiler.compile(ChoiceForm(("one",)))
    assert compiler.compile(ChoiceForm(("one",))) is first
    compiler.compile(ChoiceForm(("two",)))
    assert compiler.compile(ChoiceForm(("one",))) is not first


def test_masks_of_one_grammar_go_their_own_ways(compiler: GrammarCompiler) -> None:
    grammar = compiler.compile(ChoiceForm(("ab", "ba")))
    a, b = TOKENIZER.convert_tokens_to_ids(["a", "b"])
    first, second = grammar.new_mask(), grammar.new_mask()
    first.accept(a)
    second.accept(b)
    assert (allowed(first), allowed(second)) == ([b], [a])


def test_a_grammar_that_grows_too_complex_fails_and_is_made_anew(
    compiler: GrammarCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = LLParserLimits(max_lexer_states=300, verbose_errors=False)
    monkeypatch.setattr(grammars, "LIMITS", few)
    form = JsonForm('{"type": "string", "minLength": 500, "maxLength": 600}')
    first = compiler.compile(form)
    with pytest.raises(UnsupportedValue):
        answer(compiler, form, random.Random(1))
    assert compiler.compile(form) is not first
