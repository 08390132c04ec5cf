"""What every word of a question and its answer is about: a colour, a kind, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from demo.nouns import BARE, NAMES
from demo.packing import Packed
from demo.prompts import END
from demo.scenes import COLOURS, KINDS

Phrases = dict[tuple[int, ...], int]


@dataclass(frozen=True, slots=True)
class Topics:
    """The colour and the kind, from 1, that each token is about, and where they were named.

    All are int64 (B, K * S); the places are within the token's own segment.
    """

    colour: Tensor
    kind: Tensor
    colour_named: Tensor
    kind_named: Tensor


def topics_of(tokenizer: PreTrainedTokenizerFast, packed: Packed) -> Topics:
    """Follow what the words of every question and answer are about.

    It is the last one named: in a question to the end of the prompt, in an answer to the end of
    the clause. An answer that has named nothing yet is about what the question is about.
    """
    colours, kinds = _colour_phrases(tokenizer), _kind_phrases(tokenizer)
    about = torch.zeros(4, *packed.segments.shape, dtype=torch.long)
    stops = {_ids(tokenizer, mark)[-1] for mark in (".", ",", " and", END)}
    for i, row in enumerate(packed.segments.tolist()):
        for j, ids in enumerate(row):
            answers = (packed.targets[i, j] >= 0).tolist()
            about[0::2, i, j] = torch.tensor(_follow(ids, answers, colours, stops))
            about[1::2, i, j] = torch.tensor(_follow(ids, answers, kinds, stops))
    return Topics(*about.flatten(2))


def _follow(
    ids: list[int], answers: list[bool], phrases: Phrases, stops: set[int]
) -> tuple[list[int], list[int]]:
    """What every token is about, and where that was named."""
    current, named, about, places = 0, 0, [], []
    longest = max(len(phrase) for phrase in phrases)
    for place, token in enumerate(ids):
        if answers[place] and token in stops:
            current = 0
        for length in range(longest, 0, -1):
            found = phrases.get(tuple(ids[max(0, place + 1 - length) : place + 1]))
            if found:
                current, named = found, place
                break
        about.append(current)
        places.append(named)
    return about, places


@lru_cache(maxsize=4)
def _colour_phrases(tokenizer: PreTrainedTokenizerFast) -> Phrases:
    return {
        tuple(_ids(tokenizer, form)): number
        for number, colour in enumerate(COLOURS, 1)
        for form in (f" {colour}", str(colour), str(colour).capitalize())
    }


@lru_cache(maxsize=4)
def _kind_phrases(tokenizer: PreTrainedTokenizerFast) -> Phrases:
    return {
        tuple(_ids(tokenizer, form)): number
        for number, kind in enumerate(KINDS, 1)
        for name in [*(one for names in NAMES[kind] for one in names), *BARE[kind]]
        for form in (f" {name}", name, name.capitalize())
    }


def _ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
