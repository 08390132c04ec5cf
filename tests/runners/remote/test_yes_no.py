"""Yes or no from the likeliest first tokens, or from the text."""

import math

import pytest

from contracts.judging import Judgement
from runners.remote.wire import WireAlternative, WireToken
from runners.remote.yes_no import judgement_of, judgement_of_text


def first(**likely: float) -> WireToken:
    told = [WireAlternative(token=token, logprob=math.log(p)) for token, p in likely.items()]
    return WireToken(token=told[0].token, logprob=told[0].logprob, top_logprobs=told)


def said(*, known_mass: float = 0.1, **likely: float) -> Judgement:
    return judgement_of(first(**likely), known_mass=known_mass)


def test_all_spellings_count_with_and_without_a_blank() -> None:
    judgement = said(
        **{"Yes": 0.3, " yes": 0.2, "ĠYES": 0.1, "▁No": 0.2, "no": 0.1, "Nothing": 0.1}
    )
    assert judgement.p_yes == pytest.approx(0.6 / 0.9)
    assert judgement.known


def test_what_is_told_twice_counts_once() -> None:
    assert said(Yes=0.25, No=0.25).p_yes == pytest.approx(0.5)


def test_little_mass_is_unknown() -> None:
    assert not said(The=0.9, Yes=0.05, No=0.04).known
    assert said(The=0.9, Yes=0.05, No=0.04, known_mass=0.09).known


def test_beginnings_count_only_where_there_is_no_word() -> None:
    assert said(Y=0.3, N=0.1).p_yes == pytest.approx(0.75)
    assert said(Y=0.3, No=0.1).p_yes == 0
    assert said(Ye=0.3, Yellow=0.4) == Judgement(1.0, known=True)


def test_neither_is_unknown() -> None:
    assert said(The=0.9) == Judgement(0.5, known=False)


@pytest.mark.parametrize(
    ("text", "judgement"),
    [
        ("Yes.", Judgement(1.0, known=True)),
        ("\n **no**", Judgement(0.0, known=True)),
        ("NO, there is none", Judgement(0.0, known=True)),
        ("Not at all", Judgement(0.5, known=False)),
        ("Yesterday", Judgement(0.5, known=False)),
        ("I think yes", Judgement(0.5, known=False)),
        ("", Judgement(0.5, known=False)),
    ],
)
def test_a_text_says_what_its_first_word_says(text: str, judgement: Judgement) -> None:
    assert judgement_of_text(text) == judgement
