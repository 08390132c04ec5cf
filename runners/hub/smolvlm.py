"""SmolVLM: a picture in crops with their places, a clip in frames with their times.

Source: transformers 5.23 models/smolvlm.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from math import ceil
from typing import Any

import torch
from PIL import Image
from PIL.Image import Resampling
from torch import Tensor
from transformers.models.smolvlm.processing_smolvlm import (
    DEFAULT_MEDIA_OUTTRO,
    DEFAULT_VIDEO_INTRO,
    FRAME_TIMESTAMP_MESSAGE,
)

from contracts.errors import WeightsError
from contracts.media import U8, Clip
from llava_custom import Visual
from llava_custom.placement import input_device
from llava_custom.views import View
from runners.hub.checkpoint import Loaded, load_image_processor, read_video_settings
from runners.hub.frames import HALF, FrameScale, frame_views, stacked
from runners.hub.number_words import in_words
from runners.hub.pieces import Markup, Piece
from runners.hub.vision import Still

MAX_EDGE_PX = 4096  # the processors' own bound
LONGEST_EDGE_PX = 4 * 364  # of SmolVLMVideoProcessor, for checkpoints that say nothing


@dataclass(eq=False)
class Crops:
    """What the tower sees of one picture, prepared at once when the first of it is wanted.

    Used on one thread, that of the device, but for ``digests``.
    """

    whole: Visual
    _waiting: dict[int, Tensor] = field(default_factory=dict, init=False)

    @property
    def digests(self) -> tuple[bytes, ...]:
        """Of the picture."""
        return self.whole.digests

    def take(self, index: int, prepare: Callable[[], Iterable[Tensor]]) -> Tensor:
        """One of them; kept no longer than until it is asked for."""
        if index not in self._waiting:
            self._waiting = dict(enumerate(prepare()))
        return self._waiting.pop(index)


@dataclass(frozen=True, eq=False, kw_only=True)
class CropVisual(Visual):
    """One crop of a picture.

    Attributes:
        index: Which one.
        crops: What it shares with the others.
        is_split: Whether the picture is cut at all.
    """

    index: int
    crops: Crops
    is_split: bool

    @property
    def identity(self) -> Hashable:
        """Equal for the same crops of equal pictures."""
        return (super().identity, self.index, self.is_split)

    @property
    def digests(self) -> tuple[bytes, ...]:
        """Of the whole picture."""
        return self.crops.digests


class SmolVision:
    """A SigLIP tower and pixel shuffle; see ``Vision``."""

    num_frames = 16
    size_wh = None

    def __init__(self, loaded: Loaded) -> None:
        config = loaded.config
        self.image_token = self.visual_token = loaded.token(config.image_token_id)
        self.video_token = getattr(loaded.tokenizer, "video_token", "<video>")
        self._loaded = loaded
        self._marks = _Marks.of(loaded.tokenizer)
        self._processor = load_image_processor(loaded.directory)
        self._tile_px = _edge(self._processor.max_image_size, "max_image_size")
        self._longest_px = _edge(self._processor.size, "size")
        self._frames = _FrameSizes.of(read_video_settings(loaded.directory), self._tile_px)
        self._num_tokens: int = loaded.network.model.image_seq_len

    def picture(self, still: Still) -> Iterable[Piece]:
        """Crops row by row and the whole picture, each after its place; or it alone."""
        rows, columns = self._rows_and_columns(still)
        visuals = self._crops(still, rows * columns + 1)
        for row in range(rows):
            for column in range(columns):
                yield self._marks.place(row, column)
                yield next(visuals)
            yield Markup("\n")
        if rows:
            yield Markup("\n")
        yield from (self._marks.whole, next(visuals), self._marks.around)

    def clip(self, clip: Clip) -> Iterable[Piece]:
        """Frames, each after its time, between words about the whole."""
        times_s = clip.frame_times_s
        duration_s = times_s[-1] if clip.duration_s is None else clip.duration_s
        yield Markup(
            DEFAULT_VIDEO_INTRO.format(
                frame_count=in_words(len(times_s)),
                video_duration=str(timedelta(seconds=int(duration_s))),
            )
        )
        for frame in clip.frames:
            visual = Visual("video", self._num_tokens, (frame.rgb,))
            minutes, seconds = divmod(int(frame.time_s), 60)
            yield Markup(FRAME_TIMESTAMP_MESSAGE.format(timestamp=f"{minutes:02d}:{seconds:02d}"))
            yield from (self._marks.whole, visual, self._marks.around)
        yield Markup(DEFAULT_MEDIA_OUTTRO)

    def views(self, visual: Visual) -> Sequence[View]:
        """The crop, or the frame."""
        if not isinstance(visual, CropVisual):
            return frame_views(visual)
        key = (visual.digests, visual.kind, visual.is_split, visual.index)
        return [View(key, "crop", partial(self._prepared, visual))]

    def see(self, views: Sequence[View]) -> Sequence[Tensor]:
        """The tokens of crops or frames, each (T, D)."""
        pixels = [view.pixels() for view in views]
        is_crop = views[0].kind == "crop"
        pixel_values = torch.stack(pixels) if is_crop else self._frames.pixel_values(pixels)
        model = self._loaded.network.model
        pixel_values = pixel_values.to(input_device(model.vision_model), model.dtype)
        seen = model.get_image_features(pixel_values[None], return_dict=True)
        (tokens,) = seen.pooler_output
        features: Tensor = tokens.unflatten(0, (len(views), -1))
        return features.unbind()

    def lay_out(self, visual: Visual, features: Sequence[Tensor]) -> Tensor:
        """The tokens of one crop or frame, (T, D)."""
        return features[0]

    def _crops(self, still: Still, number: int) -> Iterator[CropVisual]:
        crops = Crops(Visual(still.kind, number * self._num_tokens, (still.rgb,)))
        for index in range(number):
            yield CropVisual(
                kind=still.kind,
                num_tokens=self._num_tokens,
                pictures=(still.rgb,),
                index=index,
                crops=crops,
                is_split=number > 1,
            )

    def _rows_and_columns(self, still: Still) -> tuple[int, int]:
        """How a picture is cut; 0 and 0 where it is not."""
        if still.is_whole or not self._processor.do_image_splitting:
            return 0, 0
        return rows_and_columns(still.size_hw, self._longest_px, self._tile_px)

    def _prepared(self, visual: CropVisual) -> Tensor:
        """What the tower sees of a crop, (3, S, S)."""

        def prepare() -> Tensor:
            picture = Image.fromarray(visual.pictures[0])
            pixels: Tensor = self._processor(
                [[picture]], do_image_splitting=visual.is_split, return_tensors="pt"
            ).pixel_values
            return pixels[0]

        return visual.crops.take(visual.index, prepare)


@dataclass(frozen=True, slots=True)
class _Marks:
    """The tokens around pictures.

    Attributes:
        fake: Before every crop, and at the end.
        whole: Before a whole picture.
        around: At the end.
    """

    fake: str
    whole: Markup
    around: Markup

    @classmethod
    def of(cls, tokenizer: Any) -> "_Marks":  # noqa: ANN401 - transformers is untyped here
        fake = getattr(tokenizer, "fake_image_token", "<fake_token_around_image>")
        whole = getattr(tokenizer, "global_image_token", "<global-img>")
        return cls(fake, Markup(fake + whole), Markup(fake))

    def place(self, row: int, column: int) -> Markup:
        """Before a crop; rows and columns from 0."""
        return Markup(f"{self.fake}<row_{row + 1}_col_{column + 1}>")


@dataclass(frozen=True, slots=True)
class _FrameSizes:
    """How frames are scaled: to one longest edge, aspect kept, and from there to a square."""

    scale: FrameScale
    longest_px: int
    tile_px: int

    @classmethod
    def of(cls, settings: Mapping[str, Any], tile_px: int) -> "_FrameSizes":
        sampling = settings.get("video_sampling") or {}
        size = settings.get("size") or sampling.get("video_size")
        longest_px = _edge(size, "video_size") if size else LONGEST_EDGE_PX
        scale = FrameScale.of(settings, mean=HALF, std=HALF, resample=Resampling.LANCZOS)
        return cls(scale, min(longest_px, MAX_EDGE_PX), tile_px)

    def pixel_values(self, frames: Sequence[U8]) -> Tensor:
        """Frames (H, W, 3) as float32, (F, 3, S, S)."""
        pixels = stacked(frames)
        height, width = pixels.shape[-2:]
        for size_hw in (with_longest_edge((height, width), self.longest_px), (self.tile_px,) * 2):
            pixels = self.scale.resized(pixels, size_hw)
        return self.scale.normalised(pixels)


def with_longest_edge(size_hw: tuple[int, int], longest_px: int) -> tuple[int, int]:
    """A size scaled to a longest edge; the other one is made even."""
    height, width = size_hw
    ratio = width / height
    if width >= height:
        shorter = int(longest_px / ratio)
        return max(shorter + shorter % 2, 1), longest_px
    shorter = int(longest_px * ratio)
    return longest_px, max(shorter + shorter % 2, 1)


def rows_and_columns(size_hw: tuple[int, int], longest_px: int, tile_px: int) -> tuple[int, int]:
    """Rows and columns of crops of a picture; 0 and 0 where it is one crop anyway."""
    height, width = with_longest_edge(size_hw, longest_px)
    ratio = width / height
    if width >= height:
        columns = ceil(width / tile_px)
        rows = ceil(int(columns * tile_px / ratio) / tile_px)
    else:
        rows = ceil(height / tile_px)
        columns = ceil(int(rows * tile_px * ratio) / tile_px)
    return (rows, columns) if rows > 1 or columns > 1 else (0, 0)


def _edge(size: Any, name: str) -> int:  # noqa: ANN401 - a dictionary, or transformers' own kind
    edge = size["longest_edge"] if "longest_edge" in dict(size) else None
    if not isinstance(edge, int) or not 0 < edge <= MAX_EDGE_PX:
        raise WeightsError(f"{name} is {size}; expected a longest_edge from 1 to {MAX_EDGE_PX}")
    return edge
