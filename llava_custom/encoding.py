"""Pictures and clips of a prompt on their way through the vision tower, a bounded piece at a time.

What was seen before is not seen again. Runs on the thread that owns the device.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from contracts.errors import RunnerError
from llava_custom.prompt import Visual
from llava_custom.views import Eyes, View
from llava_custom.vision_chunks import Stopped, in_chunks


class FeatureCache(Protocol):
    """Features of views, by their keys; each owns its memory."""

    def get(self, key: Hashable) -> Tensor | None:
        """What is kept under a key."""
        ...

    def put(self, key: Hashable, features: Tensor) -> None:
        """Keep a copy, if there is room for it."""
        ...


class NoFeatures:
    """A cache that keeps nothing."""

    def get(self, key: Hashable) -> Tensor | None:
        """Nothing."""
        return None

    def put(self, key: Hashable, features: Tensor) -> None:
        """Keep nothing."""


class Encoding:
    """The tokens of some visuals in the making.

    Every view is looked for in the cache and seen once if it is not there, however often it comes
    up. What was found or seen is held until ``blocks`` are fetched.

    Args:
        eyes: Of the family.
        visuals: In the order of their blocks.
        cache: Asked first, told of everything new.
        chunk_size: Pictures that go through the tower at once.
        device: Where memory is released after running out of it.
    """

    def __init__(
        self,
        eyes: Eyes,
        visuals: Sequence[Visual],
        cache: FeatureCache,
        *,
        chunk_size: int,
        device: torch.device,
    ) -> None:
        self._eyes = eyes
        self._visuals = visuals
        self._cache = cache
        self._chunk_size = chunk_size
        self._device = device
        self._features: dict[Hashable, Tensor] = {}
        self._views: list[Sequence[View]] = []
        self._found: set[Hashable] = set()
        self._steps = self._run()
        self.is_done = not visuals

    @property
    def num_cached_tokens(self) -> int:
        """Tokens of the blocks that come from the cache."""
        shares = zip(self._visuals, self._views, strict=False)
        return sum(self._num_found(visual, views) for visual, views in shares)

    @torch.inference_mode()
    def step(self) -> None:
        """Let the tower see one chunk; before the first one, look everything up.

        Raises:
            OutOfMemory: The pictures do not fit on the device, also in chunks of half the size.
        """
        self.is_done = next(self._steps, True)

    @torch.inference_mode()
    def blocks(self) -> list[Tensor]:
        """The tokens (T, D) of each visual; once, when all is done."""
        shares = zip(self._visuals, self._views, strict=True)
        blocks = [self._block(visual, views) for visual, views in shares]
        self._features.clear()
        return blocks

    def _run(self) -> Iterator[bool]:
        """Whether that was all, after every step."""
        self._views = [self._eyes.views(visual) for visual in self._visuals]
        missing = list(self._look_up())
        if not missing:
            yield True
        num_left = len(missing)
        for views in _by_kind(missing):
            size = max(1, self._chunk_size // views[0].num_pictures)
            for chunk in in_chunks(views, self._see, chunk_size=size, device=self._device):
                num_left -= len(chunk)
                yield num_left == 0

    def _look_up(self) -> Iterator[View]:
        """The views that are not in the cache, each once."""
        asked: set[Hashable] = set()
        for view in (view for views in self._views for view in views):
            if view.key in asked:
                continue
            asked.add(view.key)
            features = self._cache.get(view.key)
            if features is None:
                yield view
            else:
                self._features[view.key] = features
                self._found.add(view.key)

    def _see(self, views: list[View]) -> list[View]:
        for view, features in zip(views, self._eyes.see(views), strict=True):
            self._features[view.key] = features
            self._cache.put(view.key, features)
        return views

    def _block(self, visual: Visual, views: Sequence[View]) -> Tensor:
        block = self._eyes.lay_out(visual, [self._features[view.key] for view in views])
        if len(block) != visual.num_tokens:
            raise RunnerError(f"planned {visual.num_tokens} visual tokens, computed {len(block)}")
        return block

    def _num_found(self, visual: Visual, views: Sequence[View]) -> int:
        num_found = sum(view.key in self._found for view in views)
        return visual.num_tokens * num_found // len(views)


def _by_kind(views: Sequence[View]) -> Iterator[list[View]]:
    """Views of one kind each, in order."""
    groups: dict[Hashable, list[View]] = {}
    for view in views:
        groups.setdefault(view.kind, []).append(view)
    yield from groups.values()


def encode(encoding: Encoding, should_stop: Callable[[], bool]) -> list[Tensor]:
    """The blocks, all at once.

    Raises:
        Stopped: ``should_stop`` said so, which is asked before every chunk.
    """
    while not encoding.is_done:
        if should_stop():
            raise Stopped
        encoding.step()
    return encoding.blocks()
