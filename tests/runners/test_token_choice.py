"""Tokens for many rows at once: those that each row would get by itself, and by the book."""

from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from contracts.generation import SamplingParams
from runners.token_choice import Numbers, choose


def some_params(random: Random) -> SamplingParams:
    return SamplingParams(
        temperature=random.choice([0, 0.3, 1, 2]),
        top_k=random.choice([0, 0, 1, 5, 400]),
        top_p=random.choice([1, 1, 0.1, 0.9, 0.999]),
        min_p=random.choice([0, 0, 0.05]),
    )


def possible(logits: Tensor, params: SamplingParams) -> list[int]:
    """Tokens that truncation leaves in, by sorting everything: one row (V,), no two alike."""
    probs = (logits.double() / params.temperature).softmax(0)
    probs[probs < params.min_p * probs.max()] = 0
    ordered, ids = probs.sort(descending=True)
    ordered[params.top_k or len(ordered) :] = 0
    ordered[ordered.cumsum(0) - ordered >= params.top_p * ordered.sum()] = 0
    return sorted(ids[ordered > 0].tolist())


def some_numbers(seed: int, num_rows: int, vocab_size: int) -> list[Numbers]:
    generator = np.random.default_rng(seed)
    return list(generator.standard_exponential((num_rows, vocab_size), np.float32))


@pytest.mark.parametrize("vocab_size", [7, 300, 100_000])  # the last is more than a block
def test_a_row_in_a_batch_is_the_row_alone(vocab_size: int) -> None:
    random, generator = Random(vocab_size), torch.Generator().manual_seed(1)
    logits = torch.randn(12, vocab_size, generator=generator) * 2
    params = [some_params(random) for _ in logits]
    numbers = some_numbers(1, 12, vocab_size)
    together = choose(logits, params, numbers)
    for index, token_id in enumerate(together):
        row = slice(index, index + 1)
        assert choose(logits[row], params[row], numbers[row]) == [token_id]


@pytest.mark.parametrize("seed", range(30))
def test_all_tokens_that_are_left_in_are_drawn_and_no_others(seed: int) -> None:
    random, generator = Random(seed), torch.Generator().manual_seed(seed)
    logits = torch.randn(1, random.choice([5, 20, 700]), generator=generator)
    params, num = some_params(random), 2000
    is_greedy = params.temperature == 0
    expected = [int(logits.argmax())] if is_greedy else possible(logits[0], params)
    numbers = some_numbers(seed, num, logits.shape[1])
    found = choose(logits.expand(num, -1), [params] * num, numbers)
    assert set(found) <= set(expected)
    if len(expected) < 10 and params.temperature != 0.3:
        assert set(found) == set(expected)


def test_rounding_moves_no_draw_among_many_alike() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(2000, 3000, generator=generator) * 0.1
    rounded = logits + torch.randn(logits.shape, generator=generator) * 1e-5
    params, numbers = [SamplingParams(temperature=1.5)] * 2000, some_numbers(3, 2000, 3000)
    pairs = zip(choose(logits, params, numbers), choose(rounded, params, numbers), strict=True)
    assert sum(one != other for one, other in pairs) <= 1


def test_a_wide_nucleus_is_found() -> None:
    vocab_size = 10_000
    logits = torch.arange(vocab_size)[None] * 1e-6
    params = SamplingParams(temperature=1, top_p=0.5)
    found = choose(logits.expand(200, -1), [params] * 200, some_numbers(4, 200, vocab_size))
    assert 4950 <= min(found) <= 5400
    assert max(found) >= 9800


@pytest.mark.parametrize("number", [0.0, 1e-38, 1.0, 100.0])
@pytest.mark.parametrize("params", [{}, {"top_k": 2}, {"top_p": 0.9}, {"min_p": 0.5}])
def test_what_may_not_be_drawn_is_not(number: float, params: dict[str, Any]) -> None:
    logits = torch.tensor([[-torch.inf, 1.0, -torch.inf, 1.1, -torch.inf]])
    numbers = np.full(5, number, np.float32)
    (token_id,) = choose(logits, [SamplingParams(temperature=1, **params)], [numbers])
    assert token_id in (1, 3)
