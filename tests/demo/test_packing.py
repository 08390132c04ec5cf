from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from demo.architecture import HIDDEN, POOLED, Eyes, Speech, pool, text_config, to_pixel_values
from demo.checkpoint import load_checkpoint, original_name, save_checkpoint
from demo.clips import kept_patches, random_sample
from demo.packing import run_packed
from demo.pool import encode, make_lesson
from demo.prompts import VOCABULARY, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(1, num_questions=400)


def test_packed_questions_get_the_logits_they_get_alone(tokenizer: PreTrainedTokenizerFast) -> None:
    torch.manual_seed(0)
    rng, eyes, speech = Random(1), Eyes(), Speech(VOCABULARY)
    samples = [random_sample(rng, short=True) for _ in range(3)]
    lesson = make_lesson(rng, speech, tokenizer, encode(eyes, samples), num_questions=2)
    packed, language = lesson.packed, speech.language
    with torch.no_grad():
        together = language.lm_head(run_packed(language, packed).final)
        for i, length in enumerate(packed.lengths.tolist()):
            for j, segment in enumerate(packed.segments[i]):
                alone = torch.cat([packed.prefix[i, :length], language.model.embed_tokens(segment)])
                logits = language(inputs_embeds=alone[None]).logits[0, length:]
                assert torch.allclose(logits, together[i, j], atol=1e-4)


def test_pooling_is_the_bilinear_halving_of_the_original() -> None:
    tokens = torch.randn(2, 144, HIDDEN)
    grid = tokens.view(2, 12, 12, HIDDEN).permute(0, 3, 1, 2)
    halved = torch.nn.functional.interpolate(grid, size=(POOLED, POOLED), mode="bilinear")
    assert torch.allclose(pool(tokens), halved.permute(0, 2, 3, 1).flatten(1, 2), atol=1e-6)


@pytest.mark.parametrize(
    ("size_wh", "kept"),
    [
        ((96, 96), (0, 12, 0, 12)),
        ((200, 100), (3, 9, 0, 12)),
        ((100, 200), (0, 12, 3, 9)),
        ((160, 90), (3, 9, 0, 12)),
    ],
)
def test_an_image_keeps_the_patches_that_are_not_letterbox(
    size_wh: tuple[int, int], kept: tuple[int, int, int, int]
) -> None:
    assert kept_patches(size_wh) == kept


def test_a_checkpoint_comes_back_as_it_was_saved(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    eyes, speech = Eyes(), Speech(VOCABULARY)
    save_checkpoint(tmp_path, eyes, speech, tokenizer)
    eyes_again, speech_again = load_checkpoint(tmp_path)
    assert torch.equal(eyes_again.linear_1.weight, eyes.linear_1.weight.bfloat16().float())
    assert torch.equal(speech_again.newline, speech.newline.bfloat16().float())
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 12 << 20


def test_every_weight_has_a_name_in_the_original_layout() -> None:
    names = [original_name(n) for n in (*Eyes().state_dict(), *Speech(VOCABULARY).state_dict())]
    assert len(set(names)) == len(names)
    assert {"model.image_newline", "lm_head.weight", "model.mm_projector.2.bias"} <= set(names)
    with pytest.raises(ValueError, match="expected a weight"):
        original_name("head.weight")


def test_the_language_model_suits_four_bit_kernels() -> None:
    language = Speech(VOCABULARY).language
    for module in language.model.layers.modules():
        if isinstance(module, torch.nn.Linear):
            assert module.in_features % 64 == 0
            assert module.out_features % 32 == 0
    assert text_config(VOCABULARY).tie_word_embeddings is False


def test_pixels_are_normalised_to_minus_one_and_one() -> None:
    black_and_white = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    rgb = black_and_white.expand(2, 96, 96, 3)
    values = to_pixel_values(rgb)
    assert values.shape == (2, 3, 96, 96)
    assert values.amin() == -1.0
    assert values.amax() == 1.0
