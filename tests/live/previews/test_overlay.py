"""What is written into pictures, and the cards in their place."""

import numpy as np
import pytest
from PIL import Image

from live.previews.overlay import (
    Caption,
    Card,
    draw_caption,
    draw_card,
    fit_size,
    load_font,
    scaled,
    wrap,
    writable,
)

GREY = np.full((90, 160, 3), 200, np.uint8)


def pixels(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(image)


def captioned(caption: Caption) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    image = Image.fromarray(GREY)
    draw_caption(image, caption)
    return pixels(image)


@pytest.mark.parametrize(
    ("size_wh", "max_side", "expected"),
    [
        ((1280, 720), 640, (640, 360)),
        ((720, 1280), 640, (360, 640)),
        ((320, 200), 640, (320, 200)),
        ((1280, 720), None, (1280, 720)),
        ((4000, 2), 64, (64, 1)),
    ],
)
def test_pictures_fit_and_are_never_enlarged(
    size_wh: tuple[int, int], max_side: int | None, expected: tuple[int, int]
) -> None:
    assert fit_size(size_wh, max_side) == expected


def test_a_scaled_picture_is_a_copy() -> None:
    image = scaled(GREY, 640)
    image.paste((0, 0, 0), (0, 0, 10, 10))
    assert GREY.min() == 200
    assert scaled(GREY, 80).size == (80, 45)


def test_the_first_line_stands_above_and_the_others_below() -> None:
    top = captioned(Caption("Front door"))
    assert top[:10].min() < 200 < top[:10].max()  # shade and letters
    assert (top[30:] == 200).all()
    both = captioned(Caption("Front door", ("Q: Is there fire?", "A: No.")))
    assert both[-10:].min() < 200
    assert (both[25:45] == 200).all()


def test_other_lines_are_other_pictures() -> None:
    one, other = (captioned(Caption("door", (text,))) for text in ("A: Yes.", "A: No."))
    assert (one != other).any()


def test_lines_take_half_of_the_picture_at_most() -> None:
    full = captioned(Caption("door", tuple(f"rule {number}: on 0.93" for number in range(50))))
    assert (full[25:40] == 200).all()


def test_a_text_is_wrapped_and_what_does_not_fit_is_left_out() -> None:
    font = load_font(16)
    rows = wrap("all of these words " * 20, 200, 16)
    assert len(rows) == 3
    assert all(font.getlength(row) <= 200 for row in rows)
    assert rows[-1].endswith("...")
    assert wrap("short", 200, 16) == ["short"]
    assert wrap("", 200, 16) == [""]


def test_a_word_that_is_too_long_is_broken() -> None:
    font = load_font(16)
    rows = wrap("x" * 60, 200, 16)
    assert len(rows) > 1
    assert all(font.getlength(row) <= 200 for row in rows)
    assert "".join(rows) == "x" * 60


def test_a_font_without_accents_gets_letters_that_it_has() -> None:
    assert writable("Tür 中 café", has_all=False) == "Tur  cafe"
    assert writable("Tür 中 café", has_all=True) == "Tür 中 café"


@pytest.mark.parametrize("size_wh", [(640, 360), (64, 36), (36, 64)])
def test_a_card_says_something_at_any_size(size_wh: tuple[int, int]) -> None:
    card = draw_card(Card("Front door", "lost", ("since 17:16:59 UTC",)), size_wh)
    assert card.size == size_wh
    assert pixels(card).max() > 200


def test_cards_of_two_states_differ() -> None:
    one, other = (draw_card(Card("door", state), (320, 180)) for state in ("lost", "stalled"))
    assert (pixels(one) != pixels(other)).any()
