"""Grammars that answers must follow, compiled for one vocabulary, and the masks they give.

llguidance does the work; this module bounds it and hides it. ``GrammarCompiler`` belongs to one
thread, a ``GrammarMask`` to another; ``Grammar.new_mask`` is safe from any.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from llguidance.hf import from_tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from contracts.answer_forms import AnswerForm, ChoiceForm, JsonForm
from contracts.errors import RunnerError, UnsupportedValue

MAX_GRAMMARS = 16
MAX_USES = 20_000  # tokens; the masks of a grammar share one table of states, which only grows
MAX_REASON_CHARS = 200
REHEARSED_TOKENS = 4

LIMITS = LLParserLimits(  # about 10 ms to begin with, 14 ms a token and 100 MB at the worst
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
    """Compiles forms for one vocabulary, and keeps the latest.

    Args:
        tokenizer: The model's.
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
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._eos_token_ids = sorted(eos_token_ids)
        self._kept: dict[AnswerForm, Grammar] = {}  # the latest used is the last

    def compile(self, form: AnswerForm) -> Grammar:
        """The grammar of a form.

        Raises:
            UnsupportedValue: No answer can have this form, or it is too complex.
        """
        grammar = self._kept.pop(form, None)
        if grammar is None or grammar.is_worn:
            grammar = self._compile(form)
        self._kept[form] = grammar
        if len(self._kept) > MAX_GRAMMARS:
            del self._kept[next(iter(self._kept))]
        return grammar

    def _compile(self, form: AnswerForm) -> Grammar:
        matcher = LLMatcher(self._vocabulary, _grammar_text(form), log_level=0, limits=LIMITS)
        if not matcher.is_error():
            grammar = Grammar(form, matcher)
            grammar.new_mask().rehearse()
            return grammar
        raise _refusal(form, matcher.get_error())

    @cached_property
    def _vocabulary(self) -> LLTokenizer:
        """Made when it is first wanted: with 150 000 tokens it takes seconds."""
        num_tokens = max(self._vocab_size, len(self._tokenizer))
        try:
            return from_tokenizer(self._tokenizer, num_tokens, self._eos_token_ids)
        except ValueError as exc:
            raise RunnerError(f"the model's tokenizer cannot follow a grammar: {exc}") from exc


def _grammar_text(form: AnswerForm) -> str:
    """The form in llguidance's own language."""
    match form:
        case JsonForm():
            # At most a blank where people write one: an answer of bounded values is bounded, too.
            return LLMatcher.grammar_from_json_schema(
                form.schema,
                overrides={
                    "whitespace_flexible": False,
                    "item_separator": ", ?",
                    "key_separator": ": ?",
                    "coerce_one_of": True,
                },
            )
        case ChoiceForm():
            alternatives = " | ".join(json.dumps(choice) for choice in form.choices)
            return LLMatcher.grammar_from_lark(f"start: {alternatives}")


def _refusal(form: AnswerForm, reason: str) -> UnsupportedValue:
    told = reason.partition("\n")[0][:MAX_REASON_CHARS]
    return UnsupportedValue(
        f"{form.path}: expected a form that answers can have and that is not too complex: {told}",
        param=form.path,
    )
