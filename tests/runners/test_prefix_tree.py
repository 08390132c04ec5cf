"""What is kept of beginnings: the longest is found, the budget holds, ends go before beginnings."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pytest

from llava_custom.symbols import Symbols, num_common
from runners.prefix_tree import PrefixTree


@dataclass(frozen=True)
class Letters:
    """Two bytes a letter."""

    text: str

    @property
    def num_bytes(self) -> int:
        return 2 * len(self.text)

    def split(self, at: int) -> tuple[Self, Self]:
        return type(self)(self.text[:at]), type(self)(self.text[at:])


def symbols(text: str) -> Symbols:
    return np.array([ord(letter) for letter in text], np.int64)


def keep(tree: PrefixTree[Letters], text: str) -> None:
    tree.add(symbols(text), 2, lambda start, stop: Letters(text[start:stop]))


def found(tree: PrefixTree[Letters], text: str) -> str:
    one = tree.find(symbols(text))
    whole = "".join(stretch.text for stretch in one.stretches)
    assert text.startswith(whole[: one.num_symbols])
    return whole[: one.num_symbols]


def test_the_longest_beginning_is_found() -> None:
    tree: PrefixTree[Letters] = PrefixTree(1000)
    for text in ("system video one?", "system video two!", "system other", "none"):
        keep(tree, text)
    assert found(tree, "system video one? yes") == "system video one?"
    assert found(tree, "system video on") == "system video on"
    assert found(tree, "system vision") == "system vi"
    assert found(tree, "Xystem") == ""
    assert found(tree, "") == ""


def test_what_is_shared_is_kept_once() -> None:
    tree: PrefixTree[Letters] = PrefixTree(1000)
    for text in ("abcdefgh", "abcdefXY", "abc", "abcdefgh", "abcdefghij"):
        keep(tree, text)
    assert tree.num_bytes == 2 * len("abcdefghXYij")


def test_what_was_used_longest_ago_goes_first_and_from_its_end() -> None:
    tree: PrefixTree[Letters] = PrefixTree(2 * 8)
    keep(tree, "abcdef")
    keep(tree, "abcX")
    found(tree, "abcdef")
    keep(tree, "Z")
    assert [found(tree, text) for text in ("abcX", "abcdef", "Z")] == ["abcX", "abcdef", "Z"]
    found(tree, "abcX")
    keep(tree, "YY")
    assert [found(tree, text) for text in ("abcX", "abcdef", "Z", "YY")] == [
        "abcX",
        "abc",
        "Z",
        "YY",
    ]


def test_too_long_a_row_is_kept_as_far_as_it_fits() -> None:
    tree: PrefixTree[Letters] = PrefixTree(10)
    keep(tree, "abcdefgh")
    assert found(tree, "abcdefgh") == "abcde"
    keep(tree, "abcdefgh")
    assert tree.num_bytes == 10
    tree.clear()
    assert (found(tree, "abc"), tree.num_bytes) == ("", 0)


@pytest.mark.parametrize("max_bytes", [0, 6, 40, 200])
def test_whatever_comes_the_budget_holds_and_only_beginnings_are_found(max_bytes: int) -> None:
    generator, tree = np.random.default_rng(max_bytes), PrefixTree[Letters](max_bytes)
    kept: list[str] = []
    for _ in range(400):
        text = "".join(generator.choice(list("ab"), int(generator.integers(1, 14))))
        one = found(tree, text)
        assert one == "" or any(old.startswith(one) for old in kept)
        keep(tree, text)
        kept.append(text)
        assert tree.num_bytes <= max_bytes
        assert len(found(tree, text)) == min(len(text), max_bytes // 2)


def test_common_beginnings_are_counted() -> None:
    assert num_common(symbols("abc"), symbols("abd")) == 2
    assert num_common(symbols("abc"), symbols("abcd")) == 3
    assert num_common(symbols(""), symbols("a")) == 0
