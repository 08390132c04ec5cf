"""SmolVLM's crops and words."""

import numpy as np
import pytest
import torch
from num2words import num2words
from PIL import Image
from torch import Tensor
from transformers.models.smolvlm.image_processing_pil_smolvlm import get_resize_output_image_size

from contracts.errors import WeightsError
from llava_custom import Visual
from runners.hub.checkpoint import load_image_processor
from runners.hub.number_words import in_words
from runners.hub.smolvlm import Crops, CropVisual, _edge, rows_and_columns, with_longest_edge
from tests.runners.hub.conftest import CheckpointOf, LoadFamily
from tests.runners.hub.families import FAMILIES
from tests.runners.hub.media import clip, picture, user

(SMOLVLM,) = [family for family in FAMILIES if family.name == "smolvlm"]


def test_numbers_are_said_as_num2words_says_them() -> None:
    for number in [*range(1100), 1999, 2000, 12_345, 100_000, 999_999]:
        assert in_words(number) == num2words(number)


def test_pictures_are_cut_as_transformers_cuts_them(checkpoint_of: CheckpointOf) -> None:
    processor = load_image_processor(checkpoint_of(SMOLVLM))
    sizes = np.random.default_rng(4).integers(1, 400, (200, 2)).tolist()
    for height, width in [*sizes, (128, 128), (64, 128), (33, 128), (1, 400), (400, 1)]:
        shown = processor(
            [[Image.new("RGB", (width, height))]], return_row_col_info=True, return_tensors="pt"
        )
        expected = (shown["rows"][0][0], shown["cols"][0][0])
        assert rows_and_columns((height, width), 128, 32) == expected, (height, width)


def test_sizes_are_those_of_transformers() -> None:
    for height, width in np.random.default_rng(5).integers(1, 3000, (300, 2)).tolist():
        expected = get_resize_output_image_size(np.empty((3, height, width)), 512)
        assert with_longest_edge((height, width), 512) == expected, (height, width)


def test_crops_are_prepared_together_and_forgotten() -> None:
    crops, preparations = Crops(Visual("image", 3, ())), list[int]()

    def prepare() -> list[Tensor]:
        preparations.append(1)
        return [torch.full((1,), float(index)) for index in range(3)]

    assert [float(crops.take(index, prepare)) for index in range(3)] == [0, 1, 2]
    assert len(preparations) == 1
    assert float(crops.take(1, prepare)) == 1
    assert len(preparations) == 2


def test_crops_of_one_picture_know_each_other(load: LoadFamily) -> None:
    model = load(SMOLVLM)
    visuals = model.plan((user(picture(90, 50), clip(3)),)).visuals
    cut = [visual for visual in visuals if isinstance(visual, CropVisual)]
    assert len({visual.crops for visual in cut}) == 1
    assert len({visual.digests for visual in cut}) == 1
    assert (len(cut), len(visuals)) == (4 * 3 + 1, 4 * 3 + 1 + 3)


@pytest.mark.parametrize("size", [{"height": 9, "width": 9}, {"longest_edge": 5000}])
def test_sizes_that_are_not_known_are_refused(size: dict[str, int]) -> None:
    with pytest.raises(WeightsError, match="expected a longest_edge"):
        _edge(size, "size")
