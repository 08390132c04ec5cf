from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel

from contracts.generation import SamplingParams
from runners.drawing import draw
from runners.sequence import Sequence
from runners.token_sampling import DrawnToken, TokenSampler

LOGITS = torch.tensor([1.0, 3.0, 2.0, -1.0, 0.0])
END = frozenset({1})


def sampler(choice_index: int = 0, **params: Any) -> TokenSampler:  # noqa: ANN401 - any field
    return TokenSampler(SamplingParams(**params), choice_index, END)


def drawn_from(one: TokenSampler, logits: torch.Tensor = LOGITS) -> DrawnToken:
    (drawn,) = draw([one], logits[None])
    assert isinstance(drawn, DrawnToken)
    one.take(drawn.token_id)
    return drawn


def draws(one: TokenSampler, num: int = 200, logits: torch.Tensor = LOGITS) -> list[int]:
    return [drawn_from(one, logits).token_id for _ in range(num)]


class Countdown:
    """Allows one token after the other, in a given order, then the end token 1 alone."""

    def __init__(self, *token_ids: int) -> None:
        self.left = list(token_ids)

    @property
    def is_complete(self) -> bool:
        return not self.left

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        allowed = torch.full_like(logits, -torch.inf)
        allowed[self.left[0] if self.left else 1] = 0
        return logits + allowed

    def accept(self, token_id: int) -> None:
        assert token_id == (self.left.pop(0) if self.left else 1)


@pytest.mark.parametrize("temperature", [0, 1, 2])
@pytest.mark.parametrize("min_tokens", [0, 9])
def test_only_what_the_mask_allows_is_drawn(temperature: float, min_tokens: int) -> None:
    params = SamplingParams(
        temperature=temperature, top_k=1, min_tokens=min_tokens, logit_bias={2: 100, 3: -100}
    )
    one = TokenSampler(params, 0, END, Countdown(3, 3, 0, 4))
    assert draws(one, 6) == [3, 3, 0, 4, 1, 1]


def test_log_probabilities_are_those_without_the_mask() -> None:
    params = SamplingParams(logprobs=True, top_logprobs=2)
    drawn = drawn_from(TokenSampler(params, 0, END, Countdown(3)))
    assert drawn.logprob == pytest.approx(LOGITS.log_softmax(0)[3].item())
    assert [token_id for token_id, _ in drawn.top] == [1, 2]


def test_a_sequence_ends_with_its_mask_and_before_its_bound() -> None:
    tokenizer = Tokenizer(WordLevel({"a": 0, "b": 3, "<end>": 1}, unk_token="a"))
    tokenizer.decoder = Fuse()
    sequence = Sequence(SamplingParams(min_tokens=9), 0, 2, END, tokenizer, Countdown(3, 0))
    deltas = []
    for _ in range(2):
        (drawn,) = draw([sequence.sampler], LOGITS[None])
        assert isinstance(drawn, DrawnToken)
        deltas.append(sequence.take(drawn))
    assert "".join(delta.text for delta in deltas) == "ba"
    assert deltas[-1].finish_reason == "stop"


def test_temperature_zero_takes_the_likeliest() -> None:
    assert draws(sampler(temperature=0), 5) == [1] * 5


def test_a_seed_repeats_and_each_choice_has_its_own_numbers() -> None:
    first = draws(sampler(temperature=1, seed=-7))
    assert first == draws(sampler(temperature=1, seed=-7))
    assert first != draws(sampler(1, temperature=1, seed=-7))
    assert first != draws(sampler(temperature=1, seed=-8))


def test_the_least_temperature_takes_the_likeliest() -> None:
    assert draws(sampler(temperature=5e-324), 5) == [1] * 5


def test_the_least_repetition_penalty_repeats() -> None:
    drawn = draws(sampler(temperature=1, repetition_penalty=5e-324, seed=1), 50)
    assert drawn == [drawn[0]] * 50


def test_without_a_seed_two_requests_differ() -> None:
    assert draws(sampler(temperature=2)) != draws(sampler(temperature=2))


@pytest.mark.parametrize("seed", [-(2**63), 2**63 - 1, 0])
def test_every_int64_is_a_seed(seed: int) -> None:
    assert draws(sampler(3, temperature=1, seed=seed), 3)


def test_samples_follow_the_softmax() -> None:
    drawn = draws(sampler(temperature=1, seed=1), 4000)
    shares = torch.bincount(torch.tensor(drawn), minlength=5) / 4000
    assert torch.allclose(shares, LOGITS.softmax(0), atol=0.03)


@pytest.mark.parametrize(
    ("params", "allowed"),
    [
        ({"top_k": 1}, {1}),
        ({"top_k": 2}, {1, 2}),
        ({"top_k": 99}, {0, 1, 2, 3, 4}),
        ({"top_p": 0.01}, {1}),
        ({"top_p": 0.7}, {1, 2}),  # 0.64 and 0.23 of the mass
        ({"min_p": 0.3}, {1, 2}),  # e^-1 is 0.37 of the likeliest, e^-2 is 0.14
        ({"min_p": 1.0}, {1}),
        ({"top_k": 3, "top_p": 0.7}, {1, 2}),
    ],
)
def test_truncation_keeps_what_it_says(params: dict[str, Any], allowed: set[int]) -> None:
    assert set(draws(sampler(temperature=1, seed=1, **params), 300)) <= allowed


def test_presence_counts_once_and_frequency_counts_each_use() -> None:
    assert draws(sampler(presence_penalty=1.5), 5) == [1, 2, 1, 1, 1]
    assert draws(sampler(frequency_penalty=0.6), 4) == [1, 1, 2, 1]


def test_repetition_divides_positive_and_multiplies_negative_logits() -> None:
    logits = torch.tensor([-1.0, -1.5, -3.0])
    assert draws(sampler(repetition_penalty=2.0), 3, logits) == [0, 1, 0]
    assert draws(sampler(repetition_penalty=1.9), 2) == [1, 2]


def test_a_bias_moves_and_bans_tokens() -> None:
    assert draws(sampler(logit_bias={3: 100.0}), 2) == [3, 3]
    assert draws(sampler(logit_bias={1: -100.0}), 2) == [2, 2]


def test_end_tokens_wait_for_min_tokens() -> None:
    assert draws(sampler(min_tokens=2), 4) == [2, 2, 1, 1]


def test_logprobs_are_of_the_raw_distribution() -> None:
    one = sampler(logprobs=True, top_logprobs=2, logit_bias={0: 100.0}, temperature=0.1)
    drawn = drawn_from(one)
    expected = LOGITS.log_softmax(0)
    assert drawn.token_id == 0
    assert drawn.logprob == pytest.approx(float(expected[0]))
    assert [token_id for token_id, _ in drawn.top] == [1, 2]
    assert [logprob for _, logprob in drawn.top] == pytest.approx(expected[1:3].tolist())


def test_the_logits_are_not_modified() -> None:
    before = LOGITS.clone()
    draws(sampler(presence_penalty=2, logit_bias={0: 5.0}, min_tokens=9, temperature=1), 5)
    assert torch.equal(LOGITS, before)
