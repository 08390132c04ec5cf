"""Identities that hold for every family: cache, batch and stops change nothing."""

from collections.abc import Hashable

import numpy as np
import pytest
import torch
from torch import Tensor

from contracts.chat import ChatMessage, VideoPart
from contracts.media import Clip, Frame
from llava_custom import Embedded, Prompt, Stopped, VisionLanguageModel
from llava_custom.encoding import encode
from llava_custom.vision_chunks import never


@pytest.fixture(params=["LLaVA-Video", "VILA1.5"])
def model(
    request: pytest.FixtureRequest, model: VisionLanguageModel, vila: VisionLanguageModel
) -> VisionLanguageModel:
    """One family after the other."""
    return vila if request.param == "VILA1.5" else model


def some_embeds(model: VisionLanguageModel, num_sequences: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(num_sequences, 40, model.language.hidden_size, generator=generator)


def assert_close(left: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(left, right, rtol=0, atol=1e-5)


def test_a_prompt_read_in_pieces_is_the_prompt(model: VisionLanguageModel) -> None:
    embedded = Embedded.in_order(some_embeds(model))
    whole = model.prefill(embedded, model.new_kv_cache())
    kv_cache = model.new_kv_cache()
    for stretch in embedded.split(17):
        logits = model.prefill(stretch, kv_cache)
    assert logits.dtype == torch.float32
    assert_close(logits, whole)


def test_a_step_of_the_decoder_is_a_prompt_one_longer(model: VisionLanguageModel) -> None:
    inputs_embeds = some_embeds(model)
    kv_cache = model.new_kv_cache()
    model.prefill(Embedded.in_order(inputs_embeds), kv_cache)
    longer = inputs_embeds
    for position, token_id in enumerate((5, 99, 271), 40):
        logits = model.decode_step(torch.tensor([token_id]), torch.tensor([position]), kv_cache)
        token = model.embed(Prompt(((token_id,),)), []).inputs_embeds
        longer = torch.cat([longer, token], dim=1)
        assert_close(logits, model.prefill(Embedded.in_order(longer), model.new_kv_cache()))
    assert kv_cache.get_seq_length() == 43


def test_a_sequence_in_a_batch_is_as_alone(model: VisionLanguageModel) -> None:
    inputs_embeds, token_ids = some_embeds(model, 3), torch.tensor([7, 8, 9])
    positions, together = torch.tensor([40, 40, 40]), model.new_kv_cache()
    prefilled = model.prefill(Embedded.in_order(inputs_embeds), together)
    stepped = model.decode_step(token_ids, positions, together)
    for row in range(3):
        one, alone = slice(row, row + 1), model.new_kv_cache()
        embedded = Embedded.in_order(inputs_embeds[one])
        assert_close(model.prefill(embedded, alone)[0], prefilled[row])
        assert_close(model.decode_step(token_ids[one], positions[one], alone)[0], stepped[row])


def test_encoding_stops_before_the_first_picture(model: VisionLanguageModel) -> None:
    frames = (Frame(np.zeros((48, 80, 3), np.uint8), 0.0),)
    part = VideoPart(Clip(frames, 1.0, 1.0, 1, 80, 48, "h264", 0.0, 1.0, "default"))
    (visual,) = model.plan((ChatMessage("user", (part,)),)).visuals
    with pytest.raises(Stopped):
        model.encode(visual, lambda: True)


class Kept(dict[Hashable, Tensor]):
    """A cache without a bound."""

    def put(self, key: Hashable, features: Tensor) -> None:
        self[key] = features


def test_frames_that_were_seen_before_are_not_seen_again(model: VisionLanguageModel) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (4, 48, 80, 3), dtype=np.uint8)
    cache, windows = Kept(), [noise[:3], noise[1:]]
    for window in windows:
        frames = tuple(Frame(rgb, 0.5 * index) for index, rgb in enumerate(window))
        part = VideoPart(Clip(frames, 1.5, 2.0, 3, 80, 48, "h264", 0.0, 1.5, "default"))
        prompt = model.plan((ChatMessage("user", (part,)),))
        encoding = model.encoding(prompt.visuals, cache)
        blocks = encode(encoding, never)
        for block, visual in zip(blocks, prompt.visuals, strict=True):
            assert_close(block, model.encode(visual))
    assert encoding.num_cached_tokens == prompt.tokens.video * 2 // 3
    assert len(cache) == 4
