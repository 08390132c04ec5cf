"""What is said of what was seen: the values and phrases that every true answer is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from demo.nouns import NAMES, with_article
from demo.scenes import Motion, Seen
from demo.wordings import Medium

NUMBERS = ("none", "one", "two", "three", "four")
NO_MEDIA = "I see no image or video. Please show me one."
NOT_SEEN = "I do not see one."
EMPTY = "I see nothing but an empty background."
HELLO = "Hello! Show me an image or a video and ask me about it."
WHO = "I am a small demo model. Show me an image or a video and ask me about it."
STILL = "this is a still image"

DOES: dict[Motion, str] = {
    Motion.STANDS: "stands still",
    Motion.LEFT: "moves to the left",
    Motion.RIGHT: "moves to the right",
    Motion.UP: "moves up",
    Motion.DOWN: "moves down",
    Motion.APPEARS: "appears",
    Motion.DISAPPEARS: "disappears",
    Motion.BLINKS: "blinks",
}
WAYS: dict[Motion, tuple[str, ...]] = {
    Motion.LEFT: ("to the left", "left", "leftwards"),
    Motion.RIGHT: ("to the right", "right", "rightwards"),
    Motion.UP: ("up", "upwards", "to the top"),
    Motion.DOWN: ("down", "downwards", "to the bottom"),
}
# infinitive, participle, third person; the first one is what answers say
EVENTS: dict[Motion, tuple[tuple[str, str, str], ...]] = {
    Motion.APPEARS: (("appear", "appearing", "appears"), ("show up", "showing up", "shows up")),
    Motion.DISAPPEARS: (("disappear", "disappearing", "disappears"),
                        ("vanish", "vanishing", "vanishes")),
    Motion.BLINKS: (("blink", "blinking", "blinks"), ("flash", "flashing", "flashes")),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """A question as a person writes it, with its one true answer."""

    text: str
    answer: str
    kind: str


@dataclass(frozen=True, slots=True)
class View:
    """What a question is about: the things seen, in the order of the colours, and in what."""

    seen: tuple[Seen, ...]
    medium: Medium


def describe(view: View) -> str:
    """Everything seen; of a video also what every thing does."""
    if view.medium == "none":
        return NO_MEDIA
    if not view.seen:
        return EMPTY
    if view.medium == "image":
        return f"The image shows {joined([indefinite(thing) for thing in view.seen])}."
    return " ".join(f"{capital(indefinite(thing))} {DOES[thing.motion]}." for thing in view.seen)


def which(found: Sequence[Seen], doing: str, nothing: str) -> str:
    """Yes with the things that were found doing something, or no."""
    if not found:
        return f"No, {nothing}."
    return (
        f"Yes, {joined([definite(t) for t in found])} {'is' if len(found) == 1 else 'are'} {doing}."
    )


def if_live(view: View, answer: str) -> str:
    """Nothing moves in an image, and the answer says why."""
    return answer if view.medium == "video" else f"No, {STILL}."


def indefinite(thing: Seen) -> str:
    """A thing by its colour and kind: ``a red circle``."""
    return with_article(f"{thing.colour} {NAMES[thing.kind][0][0]}")


def definite(thing: Seen) -> str:
    """A thing by its colour and kind: ``the red circle``."""
    return f"the {thing.colour} {NAMES[thing.kind][0][0]}"


def joined(parts: Sequence[str]) -> str:
    """Parts joined by commas and a last ``and``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def capital(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[0].upper() + text[1:]
