"""Tokens against squares of patches put together by hand."""

import pytest
import torch
from torch import Tensor

from llava_custom.vila_projector import Projector, TokenOrder, merge_patches, num_tokens


def square(features: Tensor, row: int, column: int) -> Tensor:
    """Four patches of a picture (P, C), by row, zeros where it has none; shape (4 C,)."""
    side = int(len(features) ** 0.5)
    corners = [(2 * row + r, 2 * column + c) for r in (0, 1) for c in (0, 1)]
    return torch.cat(
        [features[y * side + x] if max(y, x) < side else torch.zeros(2) for y, x in corners]
    )


def some_features(num_pictures: int, side: int) -> Tensor:
    return torch.randn(num_pictures, side**2, 2, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("side", [4, 5, 27])
def test_tokens_go_down_the_columns(side: int) -> None:
    features, half = some_features(2, side), (side + 1) // 2
    merged = merge_patches(features, "column_major")
    assert merged.shape == (2, num_tokens(side), 8)
    for picture, tokens in zip(features, merged, strict=True):
        expected = [square(picture, row, column) for column in range(half) for row in range(half)]
        assert torch.equal(tokens, torch.stack(expected))


@pytest.mark.parametrize("side", [4, 5, 27])
def test_or_along_the_rows(side: int) -> None:
    features, half = some_features(1, side), (side + 1) // 2
    expected = [square(features[0], row, column) for row in range(half) for column in range(half)]
    assert torch.equal(merge_patches(features, "row_major")[0], torch.stack(expected))


@pytest.mark.parametrize("order", ["column_major", "row_major"])
def test_the_projector_reads_in_the_order_it_is_told(order: TokenOrder) -> None:
    features, projector = some_features(1, 5), Projector(2, 6, order)
    with torch.inference_mode():
        assert torch.equal(projector(features), projector.layers(merge_patches(features, order)))
        other: TokenOrder = "row_major" if order == "column_major" else "column_major"
        assert not torch.allclose(
            projector(features), projector.layers(merge_patches(features, other))
        )
