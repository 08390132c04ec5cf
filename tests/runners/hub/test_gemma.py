"""Gemma 3's prompts are never split inside a picture."""

import pytest
import torch

from contracts.errors import WeightsError
from llava_custom import LoadOptions
from runners.hub.gemma3 import NO_PICTURE, PictureEmbedded
from runners.loading import load_model
from tests.runners.hub.conftest import CheckpointOf
from tests.runners.hub.families import FAMILIES

(GEMMA,) = [family for family in FAMILIES if family.name == "gemma3"]
T = NO_PICTURE


@pytest.mark.parametrize(
    ("picture_ids", "max_tokens", "lengths"),
    [
        ([T, T, T, T, T], 2, [2, 2, 1]),
        ([T, 1, 1, 1, T], 2, [1, 3, 1]),
        ([T, 1, 1, 1, T], 3, [1, 3, 1]),
        ([T, 1, 1, 1, T], 4, [4, 1]),
        ([1, 1, 1, 2, 2, T], 4, [3, 3]),
        ([1, 1, 1, 1, T, T], 2, [4, 2]),
        ([T, T, 1, 1], 3, [2, 2]),
    ],
)
def test_no_picture_is_cut(picture_ids: list[int], max_tokens: int, lengths: list[int]) -> None:
    length = len(picture_ids)
    whole = PictureEmbedded(
        torch.zeros(1, length, 2), torch.arange(length)[None], tuple(picture_ids)
    )
    stretches = list(whole.split(max_tokens))
    assert [len(stretch) for stretch in stretches] == lengths
    assert [one for stretch in stretches for one in stretch.picture_ids] == picture_ids


def test_attention_that_cannot_mask_is_refused(checkpoint_of: CheckpointOf) -> None:
    with pytest.raises(WeightsError, match="masks its pictures"):
        load_model(str(checkpoint_of(GEMMA)), LoadOptions(attention="flash_attention_2"))
