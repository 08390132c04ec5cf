"""Questions that share a prefix are judged as if each were the only one, in every family."""

import pytest
import torch
from tokenizers import Tokenizer, models

from contracts.errors import RunnerError
from runners.hub.model import HubModel
from runners.judging import YesNo, in_passes, last_logits, num_shared_tokens
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


def test_what_is_shared_changes_no_likelihood(family: Family, model: HubModel) -> None:
    messages = [user(clip(), question) for question in QUESTIONS]
    alone = [logits_of(model, embedded(model, message), WHOLE)[0] for message in messages]
    prompts = [model.plan((message,)) for message in messages]
    num_shared = num_shared_tokens(prompts)
    assert num_shared > sum(visual.num_tokens for visual in prompts[0].visuals)
    rests = [prompt.text_behind(num_shared) for prompt in prompts]
    whole, kv_cache = embedded(model, messages[0]), model.new_kv_cache()
    model.prefill(whole.stretch(0, num_shared), kv_cache)
    position = int(whole.positions[0, num_shared])
    together = last_logits(model, [rest or () for rest in rests], position, kv_cache)
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.softmax(-1), other.softmax(-1), atol=1e-5, rtol=0)
    torch.testing.assert_close(together[0], together[2])
    assert not torch.allclose(alone[0].softmax(-1), alone[1].softmax(-1), atol=1e-3)
    assert kv_cache.get_seq_length() == num_shared


def test_an_attention_without_masks_gives_way_for_one_pass(model: HubModel) -> None:
    config = model.network.config.get_text_config()
    prompts = [model.plan((user(text),)) for text in QUESTIONS[:2]]
    expected = model.prefill_packed([model.embed(p, []) for p in prompts], model.new_kv_cache())
    usual = config._attn_implementation
    config._attn_implementation_internal = "eager"
    try:
        packed = model.prefill_packed([model.embed(p, []) for p in prompts], model.new_kv_cache())
        assert config._attn_implementation == "eager"
    finally:
        config._attn_implementation_internal = usual
    assert torch.equal(packed, expected)


def test_as_many_questions_as_fit_are_read_in_a_pass() -> None:
    rests = [(1,) * length for length in (200, 300, 12, 1, 600, 7)]
    assert [[len(rest) for rest in group] for group in in_passes(rests, 512)] == [
        [200, 300, 12], [1], [600], [7],
    ]  # fmt: skip


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
