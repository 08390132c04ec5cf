"""Draws of many choices at once: each as if it were alone, and no failure is anybody else's."""

import dataclasses
from random import Random

import pytest
import torch
from torch import Tensor

from contracts.errors import RunnerError, ServiceError, UnsupportedValue
from contracts.generation import SamplingParams
from runners.drawing import draw
from runners.token_masks import TokenMask
from runners.token_sampling import DrawnToken, TokenSampler

END = frozenset({1, 3})
VOCAB_SIZE = 40


class Half:
    """Allows the tokens of one half of the vocabulary, again and again the other one."""

    is_complete = False

    def __init__(self) -> None:
        self.num_taken = 0

    def apply(self, logits: Tensor) -> Tensor:
        banned = torch.arange(len(logits)) % 2 == self.num_taken % 2
        return logits.masked_fill(banned, -torch.inf)

    def accept(self, token_id: int) -> None:
        assert token_id % 2 != self.num_taken % 2
        self.num_taken += 1


class Refusing(Half):
    """Allows nothing after some tokens."""

    def __init__(self, num_tokens: int, error: Exception) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.error = error

    def apply(self, logits: Tensor) -> Tensor:
        if self.num_taken == self.num_tokens:
            raise self.error
        return super().apply(logits)


def some_sampler(random: Random) -> TokenSampler:
    mask: TokenMask | None = Half() if random.random() < 0.3 else None
    params = SamplingParams(
        min_tokens=random.choice([0, 0, 4]),
        temperature=random.choice([0, 0.7, 1.5]),
        top_p=random.choice([1, 0.5]),
        top_k=random.choice([0, 7]),
        frequency_penalty=random.choice([0, 0, 0.5]),
        presence_penalty=random.choice([0, 0, -0.5]),
        repetition_penalty=random.choice([1, 1, 1.3]),
        logit_bias=random.choice([{}, {3: 2.0, 8: -100.0}]),
        logprobs=random.random() < 0.5,
        top_logprobs=random.choice([0, 3]),
        seed=random.randrange(100),
    )
    return TokenSampler(params, random.randrange(3), END, mask)


def answers(samplers: list[TokenSampler], steps: Tensor) -> list[list[DrawnToken]]:
    """What the rows of each step, (B, V), gave each of the choices."""
    found: list[list[DrawnToken]] = [[] for _ in samplers]
    for logits in steps:
        for sampler, drawn, said in zip(samplers, draw(samplers, logits), found, strict=True):
            assert isinstance(drawn, DrawnToken)
            sampler.take(drawn.token_id)
            said.append(drawn)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_a_choice_says_in_company_what_it_says_alone(seed: int) -> None:
    steps = torch.randn(12, 10, VOCAB_SIZE, generator=torch.Generator().manual_seed(seed)) * 2
    one, other = Random(seed), Random(seed)
    together = answers([some_sampler(one) for _ in range(10)], steps)
    for row, said in enumerate(together):
        (alone,) = answers([some_sampler(other)], steps[:, row : row + 1])
        assert [token.token_id for token in alone] == [token.token_id for token in said]
        for token, same in zip(alone, said, strict=True):
            assert token.logprob == pytest.approx(same.logprob)
            assert [token_id for token_id, _ in token.top] == [token_id for token_id, _ in same.top]


def test_a_draw_that_was_not_taken_is_drawn_again() -> None:
    random = Random(1)
    samplers = [some_sampler(random) for _ in range(10)]
    for logits in torch.randn(5, 10, VOCAB_SIZE, generator=torch.Generator().manual_seed(1)):
        drawn = draw(samplers, logits)
        assert draw(samplers, logits) == drawn
        for sampler, token in zip(samplers, drawn, strict=True):
            assert isinstance(token, DrawnToken)
            sampler.take(token.token_id)


@pytest.mark.parametrize(
    ("error", "told"),
    [(UnsupportedValue("too complex"), UnsupportedValue), (ValueError("x"), RunnerError)],
)
def test_a_mask_that_fails_fails_its_own_choice(error: Exception, told: type[ServiceError]) -> None:
    params = SamplingParams(temperature=1, seed=1)
    plain, failing = (
        [TokenSampler(params, index, END, mask) for index, mask in enumerate([None, last, None])]
        for last in (Half(), Refusing(0, error))
    )
    logits = torch.randn(3, VOCAB_SIZE, generator=torch.Generator().manual_seed(1))
    expected, found = draw(plain, logits), draw(failing, logits)
    assert isinstance(found[1], told)
    assert (found[0], found[2]) == (expected[0], expected[2])


def test_what_no_draw_can_take_fails_its_own_choice(caplog: pytest.LogCaptureFixture) -> None:
    params = SamplingParams(temperature=1, seed=1)
    unknown = SamplingParams(logit_bias={VOCAB_SIZE: 1.0})
    logits = torch.randn(3, VOCAB_SIZE, generator=torch.Generator().manual_seed(1))
    first, second, third = draw(
        [TokenSampler(one, index, END) for index, one in enumerate([params, unknown, params])],
        logits,
    )
    assert isinstance(second, RunnerError)
    expected = draw([TokenSampler(params, index, END) for index in range(3)], logits)
    assert [first, third] == [expected[0], expected[2]]
    assert "each choice draws by itself" in caplog.text


def test_only_those_who_asked_get_log_probabilities() -> None:
    plain = SamplingParams(temperature=1, seed=1)
    asked = dataclasses.replace(plain, logprobs=True, top_logprobs=2)
    logits = torch.randn(3, VOCAB_SIZE, generator=torch.Generator().manual_seed(1))
    samplers = [TokenSampler(one, 0, END) for one in (plain, asked, plain)]
    first, second, third = draw(samplers, logits)
    assert isinstance(first, DrawnToken)
    assert isinstance(second, DrawnToken)
    assert isinstance(third, DrawnToken)
    assert (first.logprob, first.top, third.logprob, third.top) == (0, (), 0, ())
    expected = logits[1].log_softmax(0)
    assert second.logprob == pytest.approx(expected[second.token_id].item())
    assert [token_id for token_id, _ in second.top] == expected.topk(2).indices.tolist()
