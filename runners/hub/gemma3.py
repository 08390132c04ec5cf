"""Gemma 3: pictures whose tokens see each other; a clip is a list of pictures.

Source: transformers 5.23 models/gemma3.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from PIL import Image
from torch import Tensor
from transformers import DynamicCache
from transformers.models.gemma3.modeling_gemma3 import create_masks_for_vision_model

from contracts.errors import UnsupportedValue
from contracts.media import Clip
from llava_custom import Embedded, Prompt, Visual
from llava_custom.placement import input_device
from llava_custom.views import View
from runners.hub.checkpoint import Loaded, load_image_processor
from runners.hub.decoder import Decoder
from runners.hub.llava import check_size
from runners.hub.pieces import Markup, Piece
from runners.hub.vision import Still

NO_PICTURE = -1


class Gemma3Vision:
    """A SigLIP tower, pooled; see ``Vision``. Long pictures are not cut up, as by default."""

    video_token = None
    num_frames = 8
    size_wh = None

    def __init__(self, loaded: Loaded) -> None:
        config = loaded.config
        self.image_token = loaded.token(config.boi_token_id)
        self.visual_token = loaded.token(config.image_token_id)
        self._loaded = loaded
        self._before = Markup(f"\n\n{self.image_token}")
        self._after = Markup(f"{loaded.token(config.eoi_token_id)}\n\n")
        self._processor = load_image_processor(loaded.directory)
        self._num_tokens: int = config.mm_tokens_per_image
        check_size(self._processor, config.vision_config.image_size)

    def picture(self, still: Still) -> Iterable[Piece]:
        """One visual, always of one length, between its marks."""
        return [self._before, Visual(still.kind, self._num_tokens, (still.rgb,)), self._after]

    def clip(self, clip: Clip) -> Iterable[Piece]:
        """Never asked: there is no ``video_token``."""
        raise UnsupportedValue("this model takes clips as pictures")

    def views(self, visual: Visual) -> Sequence[View]:
        """The picture."""
        return [View(visual.digests, visual.kind, lambda: Image.fromarray(visual.pictures[0]))]

    def see(self, views: Sequence[View]) -> Sequence[Tensor]:
        """The tokens of pictures, each (T, D)."""
        images = [view.pixels() for view in views]
        pixels = self._processor(images, do_pan_and_scan=False, return_tensors="pt").pixel_values
        model = self._loaded.network.model
        device, dtype = input_device(model.vision_tower), model.vision_tower.dtype
        tokens: Tensor = model.get_image_features(
            pixels.to(device, dtype), return_dict=True
        ).pooler_output
        return tokens.unbind()

    def lay_out(self, visual: Visual, features: Sequence[Tensor]) -> Tensor:
        """One picture's tokens, (T, D)."""
        return features[0]


@dataclass(frozen=True, slots=True, eq=False)
class PictureEmbedded(Embedded):
    """A prompt that knows which tokens are one picture's; it is never split inside of one.

    Attributes:
        picture_ids: Of every token, the number of its picture, or ``NO_PICTURE``.
    """

    picture_ids: tuple[int, ...] = ()

    def stretch(self, start: int, stop: int) -> Self:
        """The tokens from one to before another."""
        found = Embedded.stretch(self, start, stop)
        return type(self)(found.inputs_embeds, found.positions, self.picture_ids[start:stop])

    def end_of_stretch(self, start: int, max_tokens: int) -> int:
        """Before a picture that would be cut; behind it where nothing else would be left."""
        stop = Embedded.end_of_stretch(self, start, max_tokens)
        if stop == len(self) or not self._is_within_picture(stop):
            return stop
        before = stop
        while before > start and self._is_within_picture(before):
            before -= 1
        if before > start:
            return before
        while stop < len(self) and self._is_within_picture(stop):
            stop += 1
        return stop

    def _is_within_picture(self, index: int) -> bool:
        """Whether the token and the one before it are one picture's."""
        picture = self.picture_ids[index]
        return picture != NO_PICTURE and index > 0 and picture == self.picture_ids[index - 1]


class Gemma3Decoder(Decoder):
    """A decoder with sliding windows in which the tokens of one picture see each other."""

    def embed(self, prompt: Prompt, blocks: Iterable[Tensor]) -> Embedded:
        """Put embedded text and the visuals' blocks together."""
        inputs = super().embed(prompt, blocks)
        ids: list[int] = []
        for index, segment in enumerate(prompt.segments):
            is_picture = isinstance(segment, Visual)
            length = segment.num_tokens if isinstance(segment, Visual) else len(segment)
            ids += [index if is_picture else NO_PICTURE] * length
        return PictureEmbedded(inputs.inputs_embeds, inputs.positions, tuple(ids))

    def arguments(self, embedded: Embedded, kv_cache: DynamicCache) -> Mapping[str, Any]:
        """The masks of a stretch that holds pictures; without, the decoder makes its own."""
        assert isinstance(embedded, PictureEmbedded)
        if all(picture == NO_PICTURE for picture in embedded.picture_ids):
            return {}
        # Numbered from the beginning of the prompt; what was read before has no picture in common.
        read = [NO_PICTURE] * kv_cache.get_seq_length()
        picture_ids = torch.tensor([[*read, *embedded.picture_ids]], device=self.device)
        masks = create_masks_for_vision_model(
            config=self.config,
            inputs_embeds=embedded.inputs_embeds,
            attention_mask=None,
            past_key_values=kv_cache,
            position_ids=embedded.positions.to(self.device),
            block_sequence_ids=picture_ids,
        )
        return {"attention_mask": masks}
