"""Pieces of a conversation to token ids, exactly as the checkpoint's tokenizer makes them.

The whole conversation is tokenised at once, so what a tokenizer does at the beginning of a text or
around control tokens comes out as it should. Should it find a control token in somebody's words,
everything is tokenised again piece by piece, words by a tokenizer that knows no control tokens.
Safe to use from several threads.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from tokenizers import Encoding, Tokenizer

from contracts.errors import RunnerError, WeightsError
from llava_custom import Prompt, Visual
from runners.hub.pieces import Markup, Piece

Run = tuple[bool, str]  # whether somebody said it, and what


class ChatTokenizer:
    """Tokenises rendered conversations.

    Args:
        tokenizer: transformers' fast tokenizer of the checkpoint.
        template: The chat template: tokens that it writes are control tokens.
        visual_token: The control token that stands for a visual.

    Raises:
        WeightsError: The tokenizer does not know ``visual_token``.
    """

    def __init__(self, tokenizer: Any, template: str, visual_token: str) -> None:  # noqa: ANN401
        added: dict[str, int] = tokenizer.get_added_vocab()
        if visual_token not in added:
            raise WeightsError(f"tokenizer.json has no control token {visual_token}")
        self._visual_token, self._visual_id = visual_token, added[visual_token]
        self._bos_token: str | None = tokenizer.bos_token
        special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
        written = {i for token, i in added.items() if token in template and not token.isspace()}
        self._control_ids = special | written | {self._visual_id}
        rules = json.loads(tokenizer.backend_tokenizer.to_str()) | {
            "truncation": None,
            "padding": None,
        }
        self._full = Tokenizer.from_str(json.dumps(rules))
        self._plain = Tokenizer.from_str(json.dumps(rules | {"added_tokens": []}))

    def tokenize(self, pieces: Iterable[Piece]) -> Prompt:
        """Token ids, with the visuals in their places."""
        pieces = list(pieces)
        visuals = [piece for piece in pieces if isinstance(piece, Visual)]
        return Prompt(tuple(self._segments(self._ids(self._runs(pieces)), visuals)))

    def _runs(self, pieces: Iterable[Piece]) -> list[Run]:
        texts = (self._text(piece) for piece in pieces)
        return [
            (is_said, "".join(text for _, text in run))
            for is_said, run in groupby(texts, key=lambda text: text[0])
        ]

    def _text(self, piece: Piece) -> Run:
        if isinstance(piece, str):
            return True, piece
        return False, piece.text if isinstance(piece, Markup) else self._visual_token

    def _ids(self, runs: Sequence[Run]) -> list[int]:
        text = "".join(text for _, text in runs)
        # As transformers' processors do: a template that writes the first token wants no other.
        adds_special = not (self._bos_token and text.startswith(self._bos_token))
        encoding = self._full.encode(text, add_special_tokens=adds_special)
        if not self._holds_said_control(encoding, runs):
            return encoding.ids
        before, after = self._around() if adds_special else ([], [])
        return [*before, *self._piecewise(runs), *after]

    def _holds_said_control(self, encoding: Encoding, runs: Iterable[Run]) -> bool:
        """Whether a control token has a character that somebody said."""
        spans, end = [], 0
        for is_said, text in runs:
            start, end = end, end + len(text)
            if is_said:
                spans.append((start, end))
        found = [
            span
            for token_id, span in zip(encoding.ids, encoding.offsets, strict=True)
            if token_id in self._control_ids
        ]
        # Both are in order of place.
        waiting = iter(spans)
        said = next(waiting, None)
        for start, end in found:
            while said is not None and said[1] <= start:
                said = next(waiting, None)
            if said is not None and said[0] < end:
                return True
        return False

    def _piecewise(self, runs: Sequence[Run]) -> Iterator[int]:
        for index, (is_said, text) in enumerate(runs):
            encode = self._plain_ids if is_said else self._full_ids
            yield from encode(text) if index == 0 else _continued(encode, text)

    def _full_ids(self, text: str) -> list[int]:
        return self._full.encode(text, add_special_tokens=False).ids

    def _plain_ids(self, text: str) -> list[int]:
        ids = self._plain.encode(text, add_special_tokens=False).ids
        # A vocabulary may hold control tokens as words, too: those vanish.
        return [token_id for token_id in ids if token_id not in self._control_ids]

    def _around(self) -> tuple[list[int], list[int]]:
        """What the tokenizer puts before and after any text."""
        inner = self._full.encode("\n", add_special_tokens=False).ids
        outer = self._full.encode("\n", add_special_tokens=True).ids
        at = next(i for i in range(len(outer)) if outer[i : i + len(inner)] == inner)
        return outer[:at], outer[at + len(inner) :]

    def _segments(
        self, token_ids: Sequence[int], visuals: Sequence[Visual]
    ) -> Iterator[tuple[int, ...] | Visual]:
        if token_ids.count(self._visual_id) != len(visuals):
            raise RunnerError(f"the tokenizer lost some of {len(visuals)} {self._visual_token}")
        remaining = iter(visuals)
        for is_visual, run in groupby(token_ids, key=lambda token_id: token_id == self._visual_id):
            if is_visual:
                yield from (next(remaining) for _ in run)
            else:
                yield tuple(run)


def _continued(encode: Callable[[str], list[int]], text: str) -> list[int]:
    """Ids of a text that follows another: without what is put before the first one only.

    Source: ``_encode_chat_piece`` in transformers 5.23 utils/chat_template_utils.py.
    """
    newline, ids = encode("\n"), encode("\n" + text)
    return ids[len(newline) :] if ids[: len(newline)] == newline else encode(text)
