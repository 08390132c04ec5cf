"""Layers laid out for a processor compute what torch's own do."""

import pytest
import torch
from torch import nn

from llava_custom import LoadOptions, VisionLanguageModel
from llava_custom.packed_linear import PackedLinear, pack_linears

SHAPES = [(1, 24), (5, 24), (2, 3, 24), (100, 24), (0, 24)]


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_a_packed_layer_computes_the_same(
    shape: tuple[int, ...], dtype: torch.dtype, has_bias: bool
) -> None:
    linear = nn.Linear(24, 40, bias=has_bias, dtype=dtype)
    inputs = torch.randn(shape, dtype=dtype)
    packed = PackedLinear(linear)
    torch.testing.assert_close(packed(inputs), linear(inputs))
    strided = torch.randn(24, 6, dtype=dtype).T
    torch.testing.assert_close(packed(strided), linear(strided))


def test_what_looks_at_the_weight_finds_its_shape_and_type_and_no_numbers() -> None:
    packed = PackedLinear(nn.Linear(4, 6, dtype=torch.bfloat16))
    assert packed.weight.shape == (6, 4)
    assert packed.weight.dtype == torch.bfloat16
    assert packed.weight.isnan().all()


def test_kinds_of_layers_and_shared_weights_stay_as_they_are() -> None:
    class Quantised(nn.Linear):
        """As bitsandbytes' are."""

    network = nn.Module()
    network.embed, network.head = nn.Embedding(6, 4), nn.Linear(4, 6, bias=False)
    network.head.weight = network.embed.weight
    network.other = nn.ModuleList([Quantised(4, 4), nn.Linear(4, 4), nn.Linear(4, 4).half()])
    half = network.other[2]
    pack_linears(network)
    assert type(network.head) is nn.Linear
    assert [type(one) for one in network.other] == [Quantised, PackedLinear, nn.Linear]
    assert network.other[2] is half


def test_a_network_is_packed_only_where_it_was_asked_for(model: VisionLanguageModel) -> None:
    assert not any(isinstance(one, PackedLinear) for one in model.network.modules())
    assert not LoadOptions().is_packed
