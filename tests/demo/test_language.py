from __future__ import annotations

from random import Random

import pytest

from demo.answers import EMPTY, NO_MEDIA, NOT_SEEN, Question, View, describe
from demo.grammar import GRAMMAR
from demo.judging import YES_NO_KINDS, is_right
from demo.language import ask, kinds_of_questions
from demo.nouns import FOREIGN, NAMES
from demo.scenes import Colour, Kind, Motion, Seen, moments_of, observe, random_scene
from demo.wordings import VERBATIM, draw_wording, expand, is_held_out

RED_CIRCLE = Seen(Kind.CIRCLE, Colour.RED, Motion.LEFT)
BLUE_STAR = Seen(Kind.STAR, Colour.BLUE, Motion.STANDS)
ORANGE_FIRE = Seen(Kind.FIRE, Colour.ORANGE, Motion.BLINKS)
VIDEO = View((RED_CIRCLE, BLUE_STAR, ORANGE_FIRE), "video")
IMAGE = View((RED_CIRCLE, BLUE_STAR), "image")
EMPTY_VIDEO = View((), "video")
NOTHING = View((RED_CIRCLE,), "none")


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (
            VIDEO,
            "A red circle moves to the left. A blue star stands still. An orange fire blinks.",
        ),
        (IMAGE, "The image shows a red circle and a blue star."),
        (EMPTY_VIDEO, EMPTY),
        (NOTHING, NO_MEDIA),
    ],
)
def test_a_description_names_everything_in_the_order_of_the_colours(view: View, text: str) -> None:
    assert describe(view) == text


@pytest.mark.parametrize("kind", kinds_of_questions())
def test_every_kind_of_question_can_be_asked_and_answered(kind: str) -> None:
    rng = Random(kind)
    view = NOTHING if kind in ("hello", "who") else VIDEO
    for _ in range(50):
        question = ask(rng, view, "train", kind)
        assert question.kind == kind
        assert question.text
        assert "<" not in question.text
        assert "{" not in question.text
        assert is_right(question, question.answer)


def test_yes_no_questions_are_answered_with_yes_or_no_first() -> None:
    rng = Random(1)
    for view in (VIDEO, IMAGE, EMPTY_VIDEO, NOTHING):
        for kind in sorted(YES_NO_KINDS):
            for _ in range(40):
                assert ask(rng, view, "train", kind).answer.startswith(("Yes, ", "No, "))


def test_an_answer_of_yes_names_only_what_is_there() -> None:
    rng = Random(2)
    for _ in range(300):
        view = View(tuple(observe(random_scene(rng), moments_of(8))), "video")
        question = ask(rng, view, "train", "is_there")
        named = [one for one in view.seen if f"{one.colour} {one.kind}" in question.answer]
        assert bool(named) == question.answer.startswith("Yes")


def test_what_the_world_does_not_hold_is_not_there() -> None:
    names = {word for forms in NAMES.values() for form in forms for word in form}
    assert not names & set(FOREIGN)
    rng = Random(3)
    assert {ask(rng, VIDEO, "train", "foreign").answer for _ in range(50)} == {f"No, {NOT_SEEN}"}


def test_things_that_stand_are_not_said_to_move() -> None:
    rng = Random(4)
    still = View((BLUE_STAR,), "video")
    said = {ask(rng, still, "train", "direction").answer for _ in range(50)}
    assert said == {"The blue star is not moving."}


def test_nothing_moves_in_an_image() -> None:
    rng = Random(5)
    said = {ask(rng, IMAGE, "train", "moving").answer for _ in range(50)}
    assert said == {"No, this is a still image."}


def test_no_wording_is_both_trained_and_held_out() -> None:
    rng = Random(6)
    for symbol in ("describe", "is_there", "how_many", "colour", "direction", "moving"):
        trained = {draw_wording(rng, symbol, "video", "train").lower() for _ in range(400)}
        held_out = {draw_wording(rng, symbol, "video", "held_out").lower() for _ in range(100)}
        assert not trained & held_out
        assert len(held_out) > 50


def test_the_wordings_that_must_be_understood_are_trained() -> None:
    assert not any(is_held_out(wording) for wording in VERBATIM)


@pytest.mark.parametrize("symbol", ["describe", "is_there", "how_many", "direction", "colour"])
def test_there_are_hundreds_of_wordings_of_a_kind(symbol: str) -> None:
    rng = Random(7)
    assert len({expand(rng, symbol, "video") for _ in range(3000)}) > 300


def test_every_symbol_of_the_grammar_is_known() -> None:
    rng = Random(8)
    for symbol in GRAMMAR:
        for _ in range(30):
            assert "<" not in expand(rng, symbol, "image")


@pytest.mark.parametrize(
    ("kind", "truth", "said", "right"),
    [
        ("is_there", "Yes, there is a red circle.", "Yes, there is a blue star.", True),
        ("is_there", "Yes, there is a red circle.", "No, I do not see one.", False),
        ("colour", "The circle is red.", "It is red.", True),
        ("colour", "The circle is red.", "It is red or blue.", False),
        ("shape", "The red object is a circle.", "The red object is a star.", False),
        ("how_many", "There are none.", "There are no circles.", True),
        ("how_many", "There is one circle.", "1", True),
        ("how_many", "There are two circles.", "There is one circle.", False),
        ("direction", "The red circle moves up.", "The red circle moves down.", False),
        ("direction", "The red circle moves to the left.", "It moves to the left.", True),
        ("action", "The red circle disappears.", "The red circle appears.", False),
        (
            "describe",
            "A red circle moves up. A blue star stands still.",
            "A blue star stands still. A red circle moves up.",
            True,
        ),
        ("describe", "A red circle moves up.", "A red circle stands still.", False),
        ("describe", "A red circle moves up.", "A red circle moves up. A blue car blinks.", False),
    ],
)
def test_the_judge_is_lenient_in_words_and_strict_in_what_is_said(
    kind: str, truth: str, said: str, *, right: bool
) -> None:
    assert is_right(Question("", truth, kind), said) == right
