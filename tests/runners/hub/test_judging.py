"""Questions that share a prefix are judged as if each were the only one, in every family."""

from collections.abc import Generator

import pytest
import torch
from tokenizers import Tokenizer, models
from torch import Tensor
from transformers import DynamicCache

from contracts.errors import RunnerError
from llava_custom import Embedded
from runners.hub.model import HubModel
from runners.judging import YesNo, last_logits, num_shared_tokens
from tests.runners.hub.families import Family
from tests.runners.hub.greedy import embedded, logits_of
from tests.runners.hub.media import clip, user

QUESTIONS = (
    "Is there a red ball?",
    "Is there a camera in front of the two cats, in this image?",
    "Is there a red ball?",
    "Does it roll?",
)
WHOLE = 1 << 20  # tokens


def finished(pieces: Generator[None, None, list[Tensor]]) -> list[Tensor]:
    """What pieces of work return in the end."""
    while True:
        try:
            next(pieces)
        except StopIteration as done:
            found: list[Tensor] = done.value
            return found


def test_what_is_shared_changes_no_likelihood(family: Family, model: HubModel) -> None:
    messages = [user(clip(), question) for question in QUESTIONS]
    alone = [logits_of(model, embedded(model, message), WHOLE)[0] for message in messages]
    prompts = [model.plan((message,)) for message in messages]
    assert num_shared_tokens(prompts) > sum(visual.num_tokens for visual in prompts[0].visuals)
    blocks = [model.encode(visual, lambda: False) for visual in prompts[0].visuals]

    def read(stretch: Embedded, kv_cache: DynamicCache) -> Generator[None, None, Tensor]:
        yield
        return model.prefill(stretch, kv_cache)

    together = finished(last_logits(model, prompts, blocks, read))
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.softmax(-1), other.softmax(-1), atol=1e-4, rtol=0)
    torch.testing.assert_close(together[0], together[2])
    assert not torch.allclose(alone[0].softmax(-1), alone[1].softmax(-1), atol=1e-3)


@pytest.mark.parametrize(
    ("vocabulary", "yes_ids", "no_ids"),
    [
        (["Yes", "No", "ĠYes", "Ġno", "YES", "Yesterday"], (0, 2, 4), (1, 3)),
        (["▁yes", "yes", "▁No", "no"], (0, 1), (2, 3)),
        (["Y", "y", "N", "n", "e", "s", "o"], (0, 1), (2, 3)),
    ],
)
def test_a_vocabulary_s_words_for_yes_and_no(
    vocabulary: list[str], yes_ids: tuple[int, ...], no_ids: tuple[int, ...]
) -> None:
    assert YesNo.of(_tokenizer(vocabulary)) == YesNo(yes_ids, no_ids)


def test_a_vocabulary_without_them_is_said_to_be_so() -> None:
    with pytest.raises(RunnerError, match="a token for 'no' in the model's tokenizer, found none"):
        YesNo.of(_tokenizer(["Yes", "x"]))


def test_yes_and_no_are_summed_and_weighed() -> None:
    logits = torch.tensor([0.3, 0.1, 0.2, 0.4]).log() + 5
    judgement = YesNo((0, 1), (2,)).judgement(logits, known_mass=0.5)
    assert judgement.p_yes == pytest.approx(2 / 3)
    assert judgement.known
    assert not YesNo((0, 1), (2,)).judgement(logits, known_mass=0.7).known


def _tokenizer(vocabulary: list[str]) -> Tokenizer:
    return Tokenizer(models.BPE({token: index for index, token in enumerate(vocabulary)}, []))
