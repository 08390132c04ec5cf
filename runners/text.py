"""Tokens to text as it grows: whole characters only, and nothing of a stop string.

Not thread-safe. Knows nothing of models.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from tokenizers import Tokenizer

from contracts.generation import TokenLogprob

REPLACEMENT = "\ufffd"  # how decoders show bytes that are no character, or not yet
MAX_CHARACTER_BYTES = 4


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Text that is certain, the log-probabilities of its tokens, and whether a stop was met."""

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    is_stopped: bool = False


@dataclass(slots=True)
class GrowingText:
    """The text of one choice.

    Holds back bytes that are not yet a character and text that may become a stop string.

    Args:
        tokenizer: Decodes the tokens; special ones give no text.
        stops: Texts that end the answer.
    """

    tokenizer: Tokenizer
    stops: Sequence[str] = ()
    _window: list[int] = field(default_factory=list, init=False)
    _num_said: int = field(default=0, init=False)
    _said: str = field(default="", init=False)
    _held: str = field(default="", init=False)
    _num_decoded: int = field(default=0, init=False)
    _num_released: int = field(default=0, init=False)
    _waiting: deque[tuple[int, TokenLogprob]] = field(default_factory=deque, init=False)

    def push(
        self, token_id: int, logprob: TokenLogprob | None = None, *, may_stop: bool = True
    ) -> TextPiece:
        """Add a token; return what became certain.

        Args:
            token_id: The next token.
            logprob: Its log-probability, handed back with its text.
            may_stop: Whether a stop string counts yet.
        """
        if logprob is not None:
            self._waiting.append((self._num_decoded, logprob))
        text = self._decode(token_id)
        self._num_decoded += len(text)
        self._held += text
        if not may_stop:
            return self._release(len(self._held))
        found = [at for stop in self.stops if (at := self._held.find(stop)) >= 0]
        if found:
            return self._release(min(found), is_stopped=True)
        return self._release(len(self._held) - self._possible_stop())

    def flush(self) -> TextPiece:
        """Give out what was held back: nothing more comes."""
        return self._release(len(self._held))

    def _decode(self, token_id: int) -> str:
        """What the token says together with those before it that said nothing yet.

        It is decoded after those that spoke last: they decide about spaces. tokenizers' own
        ``DecodeStream`` raises where bytes that never become a character change what was said.
        """
        self._window.append(token_id)
        text = self.tokenizer.decode(self._window)
        num_silent = len(self._window) - self._num_said
        if text.endswith(REPLACEMENT) and num_silent < MAX_CHARACTER_BYTES:
            return ""
        news = text[len(self._said) :]
        self._window = self._window[self._num_said :]
        self._num_said, self._said = num_silent, self.tokenizer.decode(self._window)
        return news

    def _release(self, num_chars: int, *, is_stopped: bool = False) -> TextPiece:
        text, self._held = self._held[:num_chars], self._held[num_chars:]
        self._num_released += len(text)
        logprobs = []
        while self._waiting and self._is_part(self._waiting[0][0], is_stopped=is_stopped):
            logprobs.append(self._waiting.popleft()[1])
        return TextPiece(text, tuple(logprobs), is_stopped)

    def _is_part(self, start: int, *, is_stopped: bool) -> bool:
        """Whether a token that starts there belongs to the released text."""
        return start < self._num_released or (not self._held and not is_stopped)

    def _possible_stop(self) -> int:
        """Characters at the end of the held text that may be the beginning of a stop string."""
        longest = min(len(self._held), max(map(len, self.stops), default=1) - 1)
        for size in range(longest, 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self.stops):
                return size
        return 0
