"""What a cache of features changes in any family's tokens: nothing but their rounding."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from contracts.media import Clip, Picture
from llava_custom.encoding import encode
from llava_custom.vision_chunks import never
from runners.hub.model import HubModel
from runners.vision_cache import VisionCache
from tests.runners.hub.families import Family
from tests.runners.hub.media import clip, picture, user

MB = 1 << 20


def blocks_of(model: HubModel, part: Clip | Picture, cache: VisionCache) -> tuple[Tensor, int]:
    """The tokens of a picture or clip, and how many of them are cached."""
    encoding = model.encoding(model.plan((user(part),)).visuals, cache)
    return torch.cat(encode(encoding, never)), encoding.num_cached_tokens


@pytest.mark.parametrize("part", [picture(90, 50), clip(5)], ids=["picture", "clip"])
def test_the_same_media_again_are_the_same_bits(model: HubModel, part: Clip | Picture) -> None:
    cache = VisionCache(64 * MB)
    expected, _ = blocks_of(model, part, VisionCache())
    new, num_cached = blocks_of(model, part, cache)
    again, num_cached_again = blocks_of(model, part, cache)
    assert torch.equal(new, expected)
    assert torch.equal(again, expected)
    assert (num_cached, num_cached_again) == (0, len(expected))


def test_a_window_that_moved_sees_what_is_new(model: HubModel) -> None:
    cache, frames = VisionCache(64 * MB), clip(8).frames
    windows = [replace(clip(6), frames=frames[first : first + 6]) for first in (0, 2)]
    blocks_of(model, windows[0], cache)
    num_misses = cache.stats.num_misses
    moved, num_cached = blocks_of(model, windows[1], cache)
    expected, _ = blocks_of(model, windows[1], VisionCache())
    assert num_cached == len(expected) * 4 // 6
    assert cache.stats.num_misses - num_misses == cache.stats.num_hits // 2
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-5)


def test_what_is_shown_in_another_way_is_no_hit(family: Family, model: HubModel) -> None:
    if family.name in ("llava-1.5", "gemma3"):
        pytest.skip("shows a frame as it shows a picture")
    cache = VisionCache(64 * MB)
    one = picture(52, 36)
    blocks_of(model, one, cache)
    frames = (replace(clip(1).frames[0], rgb=one.rgb),)
    as_clip, num_cached = blocks_of(model, replace(clip(1), frames=frames), cache)
    assert num_cached == 0
    assert torch.equal(as_clip, blocks_of(model, replace(clip(1), frames=frames), VisionCache())[0])
