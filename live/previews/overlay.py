"""What is written into pictures of live streams, and the cards shown in their place.

Pure: pixels in, pixels out. Knows nothing of streams, rules or encoders. Thread-safe.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from contracts.media import U8

FONT = "DejaVuSans.ttf"  # where the system has it; Pillow's own font knows ASCII only
WHITE, GREY, NIGHT = (255, 255, 255), (176, 184, 192), (24, 28, 34)
SHADE = (0, 0, 0, 150)
FONT_SHARE = 1 / 32  # of the picture's longer side
MIN_FONT_PX = 11
MAX_ROWS = 3  # that one line may be wrapped onto
ELLIPSIS = "..."

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Row = tuple[str, int, tuple[int, int, int]]  # text, size, colour


@dataclass(frozen=True, slots=True)
class Caption:
    """What is written into one picture: one line above, any number below."""

    top: str
    bottom: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """What is shown where there is no picture: a name, a state in one word, and what is known."""

    name: str
    state: str
    lines: tuple[str, ...] = ()


def fit_size(size_wh: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """The size a picture is shown at: within ``max_side``, its aspect kept, never enlarged."""
    width, height = size_wh
    if max_side is None or max(size_wh) <= max_side:
        return size_wh
    scale = max_side / max(size_wh)
    return max(1, round(width * scale)), max(1, round(height * scale))


def scaled(rgb: U8, max_side: int | None) -> Image.Image:
    """A picture within ``max_side``; a copy, so that it may be drawn on."""
    image = Image.fromarray(rgb)
    size_wh = fit_size(image.size, max_side)
    return image.resize(size_wh, Image.Resampling.BOX) if size_wh != image.size else image.copy()


def draw_caption(image: Image.Image, caption: Caption) -> None:
    """Write a caption into a picture, in place: one shaded band above, one below."""
    font_px = _font_px(image)
    above = _draw_band((caption.top,), image.width, font_px, 1)
    image.paste(above, (0, 0), above)
    if caption.bottom:
        max_rows = max(1, image.height // 2 // _row_px(font_px))
        below = _kept_band(caption.bottom, image.width, font_px, max_rows)
        image.paste(below, (0, image.height - below.height), below)


def draw_card(card: Card, size_wh: tuple[int, int]) -> Image.Image:
    """A dark picture that says how a stream stands."""
    image = Image.new("RGB", size_wh, NIGHT)
    font_px = _font_px(image)
    rows: list[Row] = [(card.name, font_px, GREY), (card.state, 2 * font_px, WHITE)]
    for line in card.lines:
        rows += [(row, font_px, GREY) for row in wrap(line, size_wh[0] - font_px, font_px)]
    while len(rows) > 2 and _height_px(rows) > size_wh[1]:
        rows.pop()
    if _height_px(rows) > size_wh[1]:
        rows = rows[1:2]  # the state alone
    draw = ImageDraw.Draw(image)
    y = (size_wh[1] - _height_px(rows)) // 2
    for text, px, colour in rows:
        (row,) = wrap(text, size_wh[0] - font_px, px, max_rows=1)
        draw.text(((size_wh[0] - _length(row, px)) // 2, y), row, colour, load_font(px))
        y += _row_px(px)
    return image


def wrap(text: str, width_px: int, font_px: int, *, max_rows: int = MAX_ROWS) -> list[str]:
    """A text in rows of at most ``width_px``; what does not fit ends in an ellipsis."""
    seen = text[: (max_rows + 1) * width_px]  # no letter is narrower than a pixel
    letters = writable(seen, has_all=_is_full(load_font(font_px)))
    words = [part for word in letters.split() for part in _split(word, width_px, font_px)]
    rows = list(_fill(words, width_px, font_px)) or [""]
    if len(rows) <= max_rows:
        return rows
    return [*rows[: max_rows - 1], _cut(" ".join(rows[max_rows - 1 :]), width_px, font_px)]


def writable(text: str, *, has_all: bool) -> str:
    """The text in letters that the font has; a font that has not all of them has ASCII."""
    if has_all:
        return text
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _draw_band(lines: tuple[str, ...], width_px: int, font_px: int, max_rows: int) -> Image.Image:
    margin = font_px // 3
    rows = [row for line in lines for row in wrap(line, width_px - 2 * margin, font_px)][:max_rows]
    band = Image.new("RGBA", (width_px, len(rows) * _row_px(font_px) + margin), SHADE)
    draw = ImageDraw.Draw(band)
    for number, row in enumerate(rows):
        draw.text((margin, margin // 2 + number * _row_px(font_px)), row, WHITE, load_font(font_px))
    return band


_kept_band = lru_cache(maxsize=32)(_draw_band)  # these lines change seldom; letters cost most


def _fill(words: Sequence[str], width_px: int, font_px: int) -> Iterator[str]:
    row = ""
    for word in words:
        longer = f"{row} {word}" if row else word
        if row and _length(longer, font_px) > width_px:
            yield row
            row = word
        else:
            row = longer
    if row:
        yield row


def _split(word: str, width_px: int, font_px: int) -> Iterator[str]:
    """A word in pieces that fit; languages without spaces are one word."""
    while len(word) > 1 and _length(word, font_px) > width_px:
        count = _num_fitting(word, width_px, font_px)
        yield word[:count]
        word = word[count:]
    yield word


def _cut(row: str, width_px: int, font_px: int) -> str:
    count = _num_fitting(row, width_px - round(_length(ELLIPSIS, font_px)), font_px)
    return row[:count].rstrip() + ELLIPSIS


def _num_fitting(text: str, width_px: int, font_px: int) -> int:
    """How many characters of a text fit, at least one."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if _length(text[:middle], font_px) <= width_px:
            low = middle
        else:
            high = middle - 1
    return low


def _length(text: str, font_px: int) -> float:
    return load_font(font_px).getlength(text)


def _font_px(image: Image.Image) -> int:
    return max(MIN_FONT_PX, round(max(image.size) * FONT_SHARE))


def _row_px(font_px: int) -> int:
    return round(font_px * 1.3)


def _height_px(rows: Sequence[Row]) -> int:
    return sum(_row_px(px) for _, px, _ in rows)


def _is_full(font: Font) -> bool:
    return isinstance(font, ImageFont.FreeTypeFont) and font.getname()[0] == "DejaVu Sans"


@lru_cache(maxsize=32)
def load_font(font_px: int) -> Font:
    """The best font there is."""
    try:
        return ImageFont.truetype(FONT, font_px)
    except OSError:
        return ImageFont.load_default(font_px)
