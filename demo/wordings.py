"""How people ask: a grammar of wordings, and the share of them that training never sees.

A wording is a question with its slots still open, such as ``is there {a_x} in this clip?``.
Knows nothing of scenes or answers.
"""

from __future__ import annotations

import re
import zlib
from random import Random
from typing import Literal

from demo.grammar import GRAMMAR

Medium = Literal["video", "image", "none"]
Split = Literal["train", "held_out"]
HELD_OUT_SHARE = 8  # one wording in so many

YES_NO = frozenset({"is_there", "is_there_bare", "moving", "ref_moving", "way_moving", "event"})
PLAIN = frozenset({"describe", "greeting", "who", "odd"})  # wordings that take no lead, no tail

# These must be understood as they stand; they are always part of training.
VERBATIM: tuple[str, ...] = (
    "Please describe what is happening in this video",
    "Please describe what is in this image",
    "Describe what happens in this video.",
    "Describe this image.",
    "Can you describe the scene?",
    "What's in this image?",
    "What is in this image?",
    "Describe this icon.",
    "What happens?",
    "please describe what is happening in this video",
    "Describe the photo.",
    "Describe the video.",
    "What is the content of this image?",
    "What is happening in this video?",
    "What is happening?",
    "What do you see?",
)


def expand(rng: Random, symbol: str, medium: Medium) -> str:
    """Draw a wording of a symbol of the grammar; the slots in braces stay open."""
    text = rng.choice(GRAMMAR[symbol])
    text = re.sub(r"<(\w+)>", lambda found: _inner(rng, found[1], medium), text)
    return re.sub(r" +(?=[?.!,]|$)", "", re.sub(r"  +", " ", text))


def _inner(rng: Random, symbol: str, medium: Medium) -> str:
    if symbol == "medium":
        if medium == "none":
            medium = rng.choice(("video", "image"))
        other: Medium = "image" if medium == "video" else "video"
        symbol = f"{rng.choices((medium, other), (85, 15))[0]}_noun"
    return expand(rng, symbol, medium)


def is_held_out(wording: str) -> bool:
    """Whether training never sees this wording; slots are open, case and marks do not count."""
    letters = re.sub(r"[^a-z{}_ ]", "", wording.lower()).strip()
    if letters in _ALWAYS_TRAINED:
        return False
    return zlib.crc32(letters.encode()) % HELD_OUT_SHARE == 0


_ALWAYS_TRAINED = frozenset(
    re.sub(r"[^a-z{}_ ]", "", text.lower()).strip()
    for text in (*VERBATIM, "is there {a_x}", "is there {x}", "hello", "hi", "who are you")
)


def draw_wording(rng: Random, symbol: str, medium: Medium, split: Split) -> str:
    """Draw a whole wording, with what people put before and after it, from one split."""
    while True:
        wording = expand(rng, symbol, medium)
        if symbol not in PLAIN:
            if rng.random() < 0.2:
                wording = f"{expand(rng, 'lead', medium)} {wording}"
            tail = expand(rng, "yes_no_tail" if symbol in YES_NO else "open_tail", medium)
            wording = f"{wording} {tail}".rstrip()
        if is_held_out(wording) == (split == "held_out"):
            return wording


def roughen(rng: Random, text: str) -> str:
    """Write a question the way people do: capitals, question marks and typos vary."""
    text = re.sub(r"(^|[.?!] )([a-z])", lambda found: found[1] + found[2].upper(), text)
    style = rng.random()
    if style < 0.22:
        text = text.lower()
    elif style < 0.24:
        text = text.upper()
    if rng.random() < 0.25:
        text = text.rstrip("?.!")
    if rng.random() < 0.05:
        text = _mistype(rng, text)
    return text


def _mistype(rng: Random, text: str) -> str:
    """Drop, double or swap one letter inside one of the longer words."""
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > 5 and word.isalpha()]
    if not long:
        return text
    index = rng.choice(long)
    word, at = words[index], rng.randrange(1, len(words[index]) - 2)
    words[index] = rng.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return " ".join(words)
