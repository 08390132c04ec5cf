"""Whether an answer is right, leniently in its words and strictly in what it says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from demo.answers import DOES, NUMBERS, Question
from demo.nouns import NAMES
from demo.scenes import COLOURS, MOVES, Motion

YES_NO_KINDS = frozenset({"is_there", "foreign", "moving", "event"})
_KIND_WORDS = {names[0][0]: kind for kind, names in NAMES.items()}
_COUNTS = {word: str(n) for n, word in enumerate(NUMBERS)} | {"no": "0", "zero": "0"}
_DOES = {text: motion for motion, text in DOES.items()} | {"is not moving": Motion.STANDS}
_CLAUSE = re.compile(
    rf"({'|'.join(COLOURS)}) ({'|'.join(_KIND_WORDS)})(?: ({'|'.join(_DOES)}))?", re.IGNORECASE
)
Fact = tuple[str, str, str]


def is_right(question: Question, answer: str) -> bool:
    """Compare an answer with the true one in what matters to the question's kind."""
    if question.kind in YES_NO_KINDS:
        return first_word(answer) == first_word(question.answer)
    facts = _FACTS.get(question.kind, clauses)
    return facts(answer) == facts(question.answer)


def first_word(text: str) -> str:
    """The first word in lower case, without marks."""
    found = re.match(r"\W*(\w+)", text)
    return found[1].lower() if found else ""


def clauses(text: str) -> Counter[Fact]:
    """Every (colour, kind, motion) that is said, with an empty motion where none is."""
    found = ((c.lower(), k.lower(), _motion(does)) for c, k, does in _CLAUSE.findall(text))
    return Counter(found)


def _motion(does: str) -> str:
    return str(_DOES[does.lower()]) if does else ""


def _colours(text: str) -> Counter[Fact]:
    return _words(text, COLOURS)


def _shapes(text: str) -> Counter[Fact]:
    return _words(text, _KIND_WORDS)


def _numbers(text: str) -> Counter[Fact]:
    return Counter(
        (_COUNTS.get(word, word), "", "")
        for word in _split(text)
        if word in _COUNTS or word.isdigit()
    )


def _motions(text: str) -> Counter[Fact]:
    found = [motion for said, motion in _DOES.items() if re.search(rf"\b{said}\b", text.lower())]
    return Counter((str(motion), "", "") for motion in found)


def _words(text: str, known: Iterable[str]) -> Counter[Fact]:
    wanted = set(known)
    return Counter((word, "", "") for word in _split(text) if word in wanted)


def _split(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


_FACTS = {
    "colour": _colours,
    "shape": _shapes,
    "how_many": _numbers,
    "direction": _motions,
    "action": _motions,
}


def row_of(question: Question) -> str:
    """The row of the report that a question counts in."""
    if question.kind == "direction":
        moves = any(DOES[move] in question.answer for move in MOVES)
        return "direction of what moves" if moves else "direction of what does not"
    return _ROWS.get(question.kind, question.kind)


_ROWS = {
    "describe": "description, everything right",
    "is_there": "is there a ...",
    "foreign": "is there something it does not know",
    "how_many": "how many",
    "shape": "which shape",
    "action": "what does it do",
    "moving": "moving or not",
    "event": "appears, disappears, blinks or not",
}
