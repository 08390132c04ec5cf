"""Packed networks answer as they did, whichever family they are of."""

import pytest
import torch

from contracts.media import Clip, Picture
from llava_custom import LoadOptions
from llava_custom.packed_linear import PackedLinear
from runners.hub.model import HubModel
from tests.runners.hub.conftest import LoadFamily
from tests.runners.hub.families import Family
from tests.runners.hub.greedy import embedded, logits_of
from tests.runners.hub.media import clip, picture, user


@pytest.mark.parametrize("medium", [picture(64, 48), clip()], ids=["picture", "clip"])
def test_a_packed_network_says_the_same(
    model: HubModel, family: Family, load: LoadFamily, medium: Picture | Clip
) -> None:
    packed = load(family, LoadOptions(is_packed=True))
    assert any(isinstance(one, PackedLinear) for one in packed.network.modules())
    message = user(medium, "What is this?")
    usual = logits_of(model, embedded(model, message), 1000)
    ours = logits_of(packed, embedded(packed, message), 1000)
    torch.testing.assert_close(ours, usual, rtol=0, atol=1e-4)
