"""A network in several places. Without a second GPU they are this host's memory and its disk.

That runs every hook that moves inputs to where a module computes; that a tensor goes from one GPU
to another is not shown by it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from contracts.chat import ChatMessage, ImagePart, TextPart, VideoPart
from contracts.errors import WeightsError
from contracts.media import Clip, Frame, Picture
from llava_custom import LoadOptions, VisionLanguageModel, load_checkpoint
from llava_custom.kv_rows import KvRows
from llava_custom.placement import input_device, places

Load = Callable[[Mapping[str, object], LoadOptions], VisionLanguageModel]
SPLITS = {  # bytes of the host's memory: what is on disk
    "language model": 400_000,
    "second layer and head": 700_000,
}


def messages() -> tuple[ChatMessage, ...]:
    pixels = np.random.default_rng(1).integers(0, 256, (2, 48, 80, 3), dtype=np.uint8)
    frames = tuple(Frame(rgb, float(index)) for index, rgb in enumerate(pixels))
    clip = VideoPart(Clip(frames, 2.0, 1.0, 2, 80, 48, "h264", 0.0, 2.0, "default"))
    picture = ImagePart(Picture(pixels[0], 80, 48, "png"))
    return (ChatMessage("user", (clip, picture, TextPart("What happens?"))),)


def steps(model: VisionLanguageModel) -> Tensor:
    """Logits of a prefill and of two decode steps, on two sequences, shape (3, 2, V)."""
    prompt, kv_cache = model.plan(messages()), model.new_kv_cache()
    embedded = model.embed(prompt, [model.encode(visual) for visual in prompt.visuals])
    logits = [model.prefill(embedded, kv_cache).expand(2, -1)]
    kv_rows = KvRows()
    kv_rows.add(kv_cache, num_rows=2)
    for offset in range(2):
        token_ids = torch.tensor([65, 66], device=model.device)
        positions = torch.full_like(token_ids, embedded.next_position + offset)
        logits.append(model.decode_step(token_ids, positions, kv_rows.next_step()))
        kv_rows.commit()
    return torch.stack(logits)


@pytest.mark.parametrize("max_memory", SPLITS.values(), ids=list(SPLITS))
def test_a_network_in_two_places_computes_what_it_does_in_one(
    copy_checkpoint: Callable[[Mapping[str, object]], Path], load: Load, max_memory: int
) -> None:
    options = LoadOptions(device_map="auto", max_memory={"cpu": max_memory})
    spread = load_checkpoint(str(copy_checkpoint({})), options)
    assert places(spread.network).keys() == {"cpu", "offloaded"}
    assert spread.device == torch.device("cpu")
    torch.testing.assert_close(steps(spread), steps(load({}, LoadOptions())), rtol=0, atol=1e-5)


def test_auto_with_room_enough_is_one_place(load: Load) -> None:
    model = load({}, LoadOptions(device_map="auto"))
    assert places(model.network).keys() == {str(input_device(model.network.lm_head))}


def test_four_bits_are_not_spread_over_a_disk(
    copy_checkpoint: Callable[[Mapping[str, object]], Path],
) -> None:
    options = LoadOptions(quantization="nf4", device_map="auto", max_memory={"cpu": 400_000})
    with pytest.raises(WeightsError, match="quantised weights cannot wait"):
        load_checkpoint(str(copy_checkpoint({})), options)


def test_the_newline_has_to_be_where_it_can_be_read(
    copy_checkpoint: Callable[[Mapping[str, object]], Path],
) -> None:
    options = LoadOptions(device_map="auto", max_memory={"cpu": 1000})
    with pytest.raises(WeightsError, match="image_newline"):
        load_checkpoint(str(copy_checkpoint({})), options)
