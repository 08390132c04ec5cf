"""One choice in flight: its drawn tokens, its text, and when it ends.

Lives on the device thread. Knows nothing of the batch it is in.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from tokenizers import Tokenizer

from contracts.generation import (
    Alternative,
    FinishReason,
    SamplingParams,
    TokenDelta,
    TokenLogprob,
)
from runners.text import GrowingText, TextPiece
from runners.token_masks import TokenMask
from runners.token_sampling import DrawnToken, TokenSampler


@dataclass(slots=True, eq=False)
class Sequence:
    """The tokens of one choice, from the first draw to its end.

    Args:
        params: How to draw, and when to stop.
        choice_index: Which choice of its request.
        max_tokens: Tokens it may have, the context considered.
        eos_token_ids: The model's own end tokens.
        tokenizer: Turns tokens into text.
        mask: Which tokens it may draw; it ends when the mask is complete.

    Attributes:
        sampler: Says how the next token is drawn.
    """

    params: SamplingParams
    choice_index: int
    max_tokens: int
    eos_token_ids: Collection[int]
    tokenizer: Tokenizer
    mask: TokenMask | None = None
    sampler: TokenSampler = field(init=False)
    finish_reason: FinishReason | None = field(default=None, init=False)
    num_tokens: int = field(default=0, init=False)
    last_token_id: int = field(default=-1, init=False)
    _end_ids: frozenset[int] = field(init=False)
    _text: GrowingText = field(init=False)

    def __post_init__(self) -> None:
        self._end_ids = frozenset(self.eos_token_ids) | frozenset(self.params.stop_token_ids)
        self.sampler = TokenSampler(self.params, self.choice_index, self._end_ids, self.mask)
        self._text = GrowingText(self.tokenizer, self.params.stop)

    def take(self, drawn: DrawnToken) -> TokenDelta:
        """Take the token that its sampler drew and say what became certain by it."""
        self.sampler.take(drawn.token_id)
        self.last_token_id = drawn.token_id
        self.num_tokens += 1
        return self._delta(self._piece(drawn))

    def _piece(self, drawn: DrawnToken) -> TextPiece:
        if drawn.token_id in self._end_ids:
            self.finish_reason = FinishReason.STOP
            return self._text.flush()
        logprob = self._logprob(drawn) if self.params.logprobs else None
        may_stop = self.num_tokens >= self.params.min_tokens
        piece = self._text.push(drawn.token_id, logprob, may_stop=may_stop)
        if piece.is_stopped:
            self.finish_reason = FinishReason.STOP
            return piece
        if self.mask is not None and self.mask.is_complete:
            self.finish_reason = FinishReason.STOP
        elif self.num_tokens >= self.max_tokens:
            self.finish_reason = FinishReason.LENGTH
        else:
            return piece
        rest = self._text.flush()
        return TextPiece(piece.text + rest.text, piece.logprobs + rest.logprobs)

    def _delta(self, piece: TextPiece) -> TokenDelta:
        return TokenDelta(piece.text, self.choice_index, self.finish_reason, piece.logprobs)

    def _logprob(self, drawn: DrawnToken) -> TokenLogprob:
        top = tuple(self._alternative(token_id, logprob) for token_id, logprob in drawn.top)
        return TokenLogprob(self._alternative(drawn.token_id, drawn.logprob), top)

    def _alternative(self, token_id: int, logprob: float) -> Alternative:
        token = self.tokenizer.decode([token_id], skip_special_tokens=False)
        return Alternative(token, logprob, token_bytes(self.tokenizer, token_id))


def token_bytes(tokenizer: Tokenizer, token_id: int) -> bytes:
    """The bytes a token stands for, also where they are part of a character.

    Byte-level vocabularies write bytes as printable characters, sentencepiece ones as ``<0xE2>``;
    both are undone here, anything else is taken as text.

    Source: the byte table of GPT-2's encoder (section 2.2 of its paper), rebuilt.
    """
    token = tokenizer.id_to_token(token_id) or ""
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    if all(character in BYTE_OF_CHARACTER for character in token):
        return bytes(BYTE_OF_CHARACTER[character] for character in token)
    return token.replace("▁", " ").encode()


def _byte_table() -> dict[str, int]:
    """Printable bytes stand for themselves, the others for characters from 256 upwards."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    shifted = {chr(256 + index): byte for index, byte in enumerate(others)}
    return {chr(byte): byte for byte in printable} | shifted


BYTE_OF_CHARACTER = _byte_table()
