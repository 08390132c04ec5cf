"""Yes or no from what a server tells of an answer's first token, or else from its text. Pure."""

import math
import re
from collections.abc import Callable, Iterable

from contracts.judging import Judgement
from runners.answer_words import BLANKS, NO, UNKNOWN, YES, weighed
from runners.remote.wire import WireAlternative, WireToken

FIRST_WORD = re.compile(r"[^\w]*(\w+)")


def judgement_of(first: WireToken, *, known_mass: float) -> Judgement:
    """What the likeliest tokens at the answer's first position say.

    Where none of them is the whole word, those that can only begin one count. Tokens that are not
    told count as impossible: they are less likely than all that are.

    Args:
        first: The token there, with the likeliest ones.
        known_mass: Least likelihood of yes and no together for an answer to be known.
    """
    told = {one.token: one for one in (first, *first.top_logprobs)}.values()
    yes, no = _mass(told, YES, _is_word), _mass(told, NO, _is_word)
    if not yes + no:
        yes, no = _mass(told, YES, _begins_only(NO)), _mass(told, NO, _begins_only(YES))
    return weighed(yes, no, known_mass=known_mass)


def judgement_of_text(text: str) -> Judgement:
    """What an answer's first word says; known only if it is yes or no."""
    found = FIRST_WORD.match(text)
    word = found[1] if found else ""
    if word in YES or word in NO:
        return Judgement(float(word in YES), known=True)
    return UNKNOWN


def _mass(
    told: Iterable[WireAlternative],
    words: tuple[str, ...],
    says: Callable[[str, tuple[str, ...]], bool],
) -> float:
    return math.fsum(math.exp(one.logprob) for one in told if says(_spoken(one.token), words))


def _spoken(token: str) -> str:
    """A token without the space that it begins with."""
    return token.strip().lstrip("".join(BLANKS))


def _is_word(token: str, words: tuple[str, ...]) -> bool:
    return token in words


def _begins_only(others: tuple[str, ...]) -> Callable[[str, tuple[str, ...]], bool]:
    def begins(token: str, words: tuple[str, ...]) -> bool:
        is_beginning = bool(token) and any(word.startswith(token) for word in words)
        return is_beginning and not any(word.startswith(token) for word in others)

    return begins
