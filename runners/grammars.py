"""Grammars that answers must follow, compiled for one vocabulary, and the masks they give.

llguidance does the work; this module bounds it and hides it. ``GrammarCompiler`` belongs to one
thread, a ``GrammarMask`` to another; ``Grammar.new_mask`` is safe from any.
"""

import json
import logging
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from llguidance.hf import from_tokenizer
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from contracts.answer_forms import AnswerForm, ChoiceForm, JsonForm
from contracts.errors import UnsupportedValue

logger = logging.getLogger(__name__)

MAX_GRAMMARS = 16
MAX_KEPT_BYTES = 256_000_000
MAX_USES = 20_000  # tokens; the masks of a grammar share one table of states, which only grows
MAX_REASON_CHARS = 200
REHEARSED_TOKENS = 4
SENTENCEPIECE_BLANK = "▁"

JSON_OPTIONS = {  # at most a blank where people write one: bounded values make a bounded answer
    "whitespace_flexible": False,
    "item_separator": ", ?",
    "key_separator": ": ?",
    "coerce_one_of": True,
}

# llguidance does not tell what a grammar takes. Measured with 1 000 and 150 000 tokens: at most
# 2.5 MB when compiled, 24 kB a token of its answers, and 600 bytes a state.
COMPILED_BYTES = 4_000_000
BYTES_PER_USE = 25_000
BYTES_PER_STATE = 700

# Source: llguidance's ParserLimits, api.rs: fuel lasts 1 ms for 50 000 at first, 14 000 at a token.
LIMITS = LLParserLimits(
    initial_lexer_fuel=500_000,
    step_lexer_fuel=200_000,
    max_lexer_states=60_000,
    max_grammar_size=200_000,
    verbose_errors=False,
)


@dataclass(slots=True, eq=False)
class Grammar:
    """One form, compiled."""

    form: AnswerForm
    _matcher: LLMatcher
    num_uses: int = field(default=0, init=False)
    has_failed: bool = field(default=False, init=False)

    @property
    def is_worn(self) -> bool:
        """Whether the next request should get a fresh one: its masks share what they learn."""
        return self.has_failed or self.num_uses > MAX_USES

    @property
    def num_bytes(self) -> int:
        """Memory that it takes at most."""
        states = BYTES_PER_STATE * LIMITS.max_lexer_states
        return COMPILED_BYTES + min(BYTES_PER_USE * self.num_uses, states)

    def new_mask(self) -> "GrammarMask":
        """The mask of a sequence from its first token on."""
        return GrammarMask(self, self._matcher.deep_copy())


@dataclass(slots=True, eq=False)
class GrammarMask:
    """A ``TokenMask``: how far one sequence has come in its grammar."""

    grammar: Grammar
    _matcher: LLMatcher

    @property
    def is_complete(self) -> bool:
        """Whether nothing but the end may follow."""
        return self._matcher.is_stopped()

    def apply(self, logits: Tensor) -> Tensor:
        """The logits (V,), minus infinity where a token may not be drawn; not modified.

        Raises:
            UnsupportedValue: The grammar is too complex at this place.
        """
        banned = np.unpackbits(~self._bits(), count=len(logits), bitorder="little").view(np.bool_)
        return logits.masked_fill(torch.from_numpy(banned).to(logits.device), -torch.inf)

    def accept(self, token_id: int) -> None:
        """Go on after the drawn token.

        Raises:
            UnsupportedValue: The grammar is too complex at this place.
        """
        self.grammar.num_uses += 1
        self._matcher.consume_token(token_id)
        self._check()

    def rehearse(self) -> None:
        """Draw some tokens: what is too complex mostly is so at once.

        Raises:
            UnsupportedValue: The grammar is too complex at this place.
        """
        for _ in range(REHEARSED_TOKENS):
            if not self.is_complete:
                allowed = np.unpackbits(self._bits(), bitorder="little")
                self.accept(int(allowed.argmax()))

    def _bits(self) -> npt.NDArray[np.uint8]:
        """One bit for each token, set where it may be drawn."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check()
        return bits

    def _check(self) -> None:
        if self._matcher.is_error():
            self.grammar.has_failed = True
            raise _refusal(self.grammar.form, self._matcher.get_error())


class GrammarCompiler:
    """Compiles forms for one vocabulary, and keeps the latest, by number and by what they may take.

    Args:
        tokenizer: The model's. With 150 000 tokens it takes a second or two to look through, in
            which no other thread runs Python.
        vocab_size: How many logits the model gives.
        eos_token_ids: Tokens that end an answer.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        *,
        vocab_size: int,
        eos_token_ids: Collection[int],
    ) -> None:
        self._vocabulary = _vocabulary(tokenizer, vocab_size, eos_token_ids)
        self._hides_blank = _hides_first_blank(tokenizer.backend_tokenizer)
        self._kept: dict[AnswerForm, Grammar] = {}  # the latest used is the last

    def compile(self, form: AnswerForm) -> Grammar:
        """The grammar of a form.

        Raises:
            UnsupportedValue: No answer can have this form, it is too complex, or the model's
                tokenizer cannot follow any.
        """
        grammar = self._kept.pop(form, None)
        if grammar is None or grammar.is_worn:
            grammar = self._compile(form)
        self._kept[form] = grammar
        while len(self._kept) > 1 and not self._has_room:
            del self._kept[next(iter(self._kept))]
        return grammar

    @property
    def _has_room(self) -> bool:
        num_bytes = sum(grammar.num_bytes for grammar in self._kept.values())
        return len(self._kept) <= MAX_GRAMMARS and num_bytes <= MAX_KEPT_BYTES

    def _compile(self, form: AnswerForm) -> Grammar:
        if self._vocabulary is None:
            raise _refusal(form, "the tokenizer of this model cannot follow any")
        text = _grammar_text(form, hides_blank=self._hides_blank)
        matcher = LLMatcher(self._vocabulary, text, log_level=0, limits=LIMITS)
        if not matcher.is_error():
            grammar = Grammar(form, matcher)
            grammar.new_mask().rehearse()
            return grammar
        raise _refusal(form, matcher.get_error())


def _vocabulary(
    tokenizer: PreTrainedTokenizerFast, vocab_size: int, eos_token_ids: Collection[int]
) -> LLTokenizer | None:
    num_tokens = max(vocab_size, len(tokenizer))
    try:
        return from_tokenizer(tokenizer, num_tokens, sorted(eos_token_ids))
    except (ValueError, RuntimeError) as exc:
        logger.warning("answers of a form are refused: %s", exc)
        return None


def _hides_first_blank(tokenizer: Tokenizer) -> bool:
    """Whether a blank that begins an answer is not shown, as with sentencepiece's of Llama.

    Its words begin with one, and so do the answers its models would like to give.
    """
    token_id = tokenizer.token_to_id(SENTENCEPIECE_BLANK)
    return token_id is not None and not tokenizer.decode([token_id])


def _grammar_text(form: AnswerForm, *, hides_blank: bool) -> str:
    """The form in llguidance's own language, a dialect of Lark's."""
    match form:
        case JsonForm():
            schema = json.loads(form.schema) | {"x-guidance": JSON_OPTIONS}
            return f"start: {_blank(is_hidden=hides_blank)} json\njson: %json {json.dumps(schema)}"
        case ChoiceForm():
            rules = [
                f"{_blank(is_hidden=hides_blank, is_needed=choice[0] == ' ')} {json.dumps(choice)}"
                for choice in form.choices
            ]
            return f"start: {' | '.join(rules)}"


def _blank(*, is_hidden: bool, is_needed: bool = False) -> str:
    """What stands before an answer and is not shown."""
    if not is_hidden:
        return ""
    return '" "' if is_needed else '" "?'


def _refusal(form: AnswerForm, reason: str) -> UnsupportedValue:
    told = reason.partition("\n")[0][:MAX_REASON_CHARS]
    return UnsupportedValue(
        f"{form.path}: expected a form that answers can have and that is not too complex: {told}",
        param=form.path,
    )
