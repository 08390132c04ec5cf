"""Pieces of a prompt to token ids: text only ever becomes text.

Text is tokenised by a tokenizer that knows no control token, and places of media are values, not
words: no text can open a turn, end one or claim a picture. Safe to use from several threads.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import Metaspace

from contracts.errors import WeightsError
from llava_custom.prompt import Prompt, Visual


@dataclass(frozen=True, slots=True)
class Control:
    """A token that shapes a conversation, as the checkpoint's tokenizer spells it."""

    token: str


Piece = str | Control | Visual


class PromptTokenizer:
    """Tokenises pieces: text as text only, control tokens by their ids.

    The original's tokenizer splits at control tokens before anything else, so going piece by piece
    gives the ids that it gives for the whole prompt.

    Args:
        tokenizer: transformers' fast tokenizer of the checkpoint.
        controls: The control tokens that pieces may hold.
        has_dummy_prefix: Whether a space goes before the first text of the prompt and the first
            after a visual, as sentencepiece puts it, also where that text has one of its own.

    Raises:
        WeightsError: The tokenizer lacks one of them.
    """

    def __init__(
        self,
        tokenizer: Any,  # noqa: ANN401 - transformers is untyped here
        controls: Iterable[Control],
        *,
        has_dummy_prefix: bool = False,
    ) -> None:
        vocabulary: dict[str, int] = tokenizer.get_added_vocab()
        tokens = [control.token for control in controls]
        missing = [token for token in tokens if token not in vocabulary]
        if missing:
            raise WeightsError(f"the tokenizer's files have no control token {', '.join(missing)}")
        self._control_ids = {token: vocabulary[token] for token in tokens}
        rules = json.loads(tokenizer.backend_tokenizer.to_str())
        plain = {**rules, "added_tokens": [], "truncation": None, "padding": None}
        self._plain = Tokenizer.from_str(json.dumps(plain))
        self._dummy_prefix = " " if has_dummy_prefix else ""
        if has_dummy_prefix:  # the rules' own would leave out the space before a space
            self._plain.pre_tokenizer = Metaspace(prepend_scheme="never", split=False)
        # A tokenizer of whole words may hold control tokens as words, too: those vanish.
        self._forbidden = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}

    def id_of(self, control: Control) -> int:
        """The id of a control token."""
        return self._control_ids[control.token]

    def tokenize(self, pieces: Iterable[Piece]) -> Prompt:
        """Token ids of the pieces; texts between two visuals or control tokens are one text."""
        segments: list[tuple[int, ...] | Visual] = []
        for is_visual, run in groupby(pieces, key=lambda piece: isinstance(piece, Visual)):
            if is_visual:
                segments.extend(piece for piece in run if isinstance(piece, Visual))
            else:
                segments.append(tuple(self._token_ids(run)))
        return Prompt(tuple(segments))

    def _token_ids(self, pieces: Iterable[Piece]) -> Iterator[int]:
        prefix = self._dummy_prefix
        for kind, run in groupby(pieces, key=type):
            if kind is Control:
                yield from (self.id_of(piece) for piece in run if isinstance(piece, Control))
            elif text := "".join(piece for piece in run if isinstance(piece, str)):
                yield from self._text_ids(prefix + text)
                prefix = ""

    def _text_ids(self, text: str) -> Iterator[int]:
        text = text.encode(errors="replace").decode()  # JSON may hold half a surrogate pair
        ids = self._plain.encode(text, add_special_tokens=False).ids
        yield from (token_id for token_id in ids if token_id not in self._forbidden)


def check_vocabulary(tokenizer: Any, vocab_size: object) -> None:  # noqa: ANN401
    """Refuse a tokenizer that has tokens without an embedding.

    Raises:
        WeightsError: It has more tokens than ``vocab_size``.
    """
    num_tokens = 1 + max(tokenizer.get_vocab().values())
    if not isinstance(vocab_size, int) or num_tokens > vocab_size:
        raise WeightsError(f"vocab_size is {vocab_size}; the tokenizer has {num_tokens} tokens")
