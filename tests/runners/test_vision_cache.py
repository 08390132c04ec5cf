"""The budget of what was seen, and that nothing seen is seen again."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from contracts.engine_stats import CacheStats
from llava_custom import Visual
from llava_custom.encoding import Encoding, encode
from llava_custom.views import View
from llava_custom.vision_chunks import Stopped, never
from runners.vision_cache import VisionCache

CPU = torch.device("cpu")


def features(value: float, num_floats: int = 4) -> Tensor:
    return torch.full((num_floats,), float(value))


def test_what_was_used_longest_ago_makes_room() -> None:
    cache = VisionCache(max_bytes=48)
    for key in "abc":
        cache.put(key, features(ord(key)))
    assert cache.get("a") is not None
    cache.put("d", features(0))
    assert [cache.get(key) is not None for key in "abcd"] == [True, False, True, True]
    assert cache.stats == CacheStats(num_hits=4, num_misses=1, num_bytes=48)


def test_the_budget_holds_whatever_comes() -> None:
    cache = VisionCache(max_bytes=100)
    for key, num_floats in enumerate((4, 25, 1, 26, 9, 9, 3)):
        cache.put(key, features(key, num_floats))
        assert cache.stats.num_bytes <= 100
    assert cache.get(3) is None


def test_nothing_is_kept_without_a_budget_nor_after_clearing() -> None:
    off, cache = VisionCache(), VisionCache(max_bytes=100)
    for one in (off, cache):
        one.put("a", features(1))
    cache.clear()
    assert (off.get("a"), cache.get("a")) == (None, None)
    assert cache.stats.num_bytes == 0


def test_a_part_of_a_chunk_does_not_keep_the_chunk() -> None:
    cache = VisionCache(max_bytes=16)
    cache.put("a", torch.zeros(1000, 4)[7])
    kept = cache.get("a")
    assert kept is not None
    assert kept.untyped_storage().nbytes() == 16


class Numbers:
    """Eyes that see the first pixel of every picture, and remember what they were shown."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    def views(self, visual: Visual) -> Sequence[View]:
        pairs = zip(visual.pictures, visual.digests, strict=True)
        return [View(digest, visual.kind, rgb.max) for rgb, digest in pairs]

    def see(self, views: Sequence[View]) -> Sequence[Tensor]:
        self.seen.append([int(view.pixels()) for view in views])
        return [features(number, 1) for number in self.seen[-1]]

    def lay_out(self, visual: Visual, features: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(features))


def clip(*numbers: int) -> Visual:
    pictures = tuple(np.full((2, 2, 3), number, np.uint8) for number in numbers)
    return Visual("video", len(numbers), pictures)


def encoding(eyes: Numbers, cache: VisionCache, *visuals: Visual) -> Encoding:
    return Encoding(eyes, visuals, cache, chunk_size=2, device=CPU)


def test_windows_that_overlap_see_each_frame_once() -> None:
    eyes, cache = Numbers(), VisionCache(max_bytes=1000)
    for first in range(4):
        window = encoding(eyes, cache, clip(*range(first, first + 4)))
        (block,) = encode(window, never)
        assert block.flatten().tolist() == [first, first + 1, first + 2, first + 3]
        assert window.num_cached_tokens == (3 if first else 0)
    assert eyes.seen == [[0, 1], [2, 3], [4], [5], [6]]


def test_one_picture_is_seen_once_by_a_prompt_that_shows_it_twice() -> None:
    eyes = Numbers()
    blocks = encode(encoding(eyes, VisionCache(), clip(1, 2), clip(2, 3, 2)), never)
    assert [block.flatten().tolist() for block in blocks] == [[1, 2], [2, 3, 2]]
    assert eyes.seen == [[1, 2], [3]]


def test_each_step_sees_one_chunk_and_what_is_known_takes_one_step() -> None:
    eyes, cache = Numbers(), VisionCache(max_bytes=1000)
    for num_steps in (3, 1):
        one = encoding(eyes, cache, clip(1, 2, 3, 4, 5))
        for step in range(num_steps):
            assert not one.is_done, step
            one.step()
        assert one.is_done
    assert eyes.seen == [[1, 2], [3, 4], [5]]


def test_nothing_to_see_is_done_at_once() -> None:
    nothing = encoding(Numbers(), VisionCache())
    assert nothing.is_done
    assert nothing.blocks() == []


def test_it_stops_between_chunks() -> None:
    eyes = Numbers()
    with pytest.raises(Stopped):
        encode(encoding(eyes, VisionCache(), clip(1, 2, 3)), lambda: bool(eyes.seen))
    assert eyes.seen == [[1, 2]]


def test_pictures_are_told_apart_by_pixels_and_shape() -> None:
    flat, tall = (np.zeros(shape, np.uint8) for shape in ((2, 4, 3), (4, 2, 3)))
    other = flat.copy()
    other[-1, -1, -1] = 1
    visual = Visual("video", 3, (flat, tall, other, flat[::-1]))
    assert len(set(visual.digests)) == 3
    assert visual.digests[0] == visual.digests[3]
