"""How many tokens a prompt has, about, where nobody tells; what a told total is made of. Pure."""

import math
from collections.abc import Sequence

from contracts.chat import ChatMessage, ImagePart, VideoPart
from contracts.generation import PromptTokens
from contracts.media import U8
from runners.remote.wire import WirePrompt

BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
PATCH_PX = 28  # a side of what Qwen2-VL makes one token of; others are within a factor of three
MIN_PICTURE, MAX_PICTURE = 64, 1280


def estimated_tokens(messages: Sequence[ChatMessage], *, max_side_px: int) -> PromptTokens:
    """A guess; ``max_side_px`` is what frames of clips are scaled to."""
    parts = [part for message in messages for part in message.parts]
    images = [part.picture.rgb for part in parts if isinstance(part, ImagePart)]
    clips = [part.clip for part in parts if isinstance(part, VideoPart)]
    num_bytes = sum(len(message.text.encode(errors="replace")) for message in messages)
    return PromptTokens(
        text=math.ceil(num_bytes / BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE * len(messages),
        image=sum(_picture(rgb) for rgb in images),
        video=sum(
            _picture(clip.frames[0].rgb, max_side_px=max_side_px) * len(clip.frames)
            for clip in clips
        ),
        is_estimated=True,
    )


def prompt_tokens(total: int, told: WirePrompt | None, estimate: PromptTokens) -> PromptTokens:
    """A total that a server told, in its parts: as it told them, else in the estimate's shares."""
    if told is not None and told.text_tokens is not None:
        image, video = told.image_tokens or 0, told.video_tokens or 0
        return PromptTokens(max(total - image - video, 0), image, video)
    if told is not None and told.multimodal_tokens is not None:
        return _shared(total, sum(told.multimodal_tokens.values()), estimate)
    return _shared(total, total - min(estimate.text, total), estimate)


def _shared(total: int, num_visual: int, estimate: PromptTokens) -> PromptTokens:
    visual = estimate.image + estimate.video
    if not visual:
        return PromptTokens(text=total)
    video = round(num_visual * estimate.video / visual)
    return PromptTokens(total - num_visual, num_visual - video, video)


def _picture(rgb: U8, *, max_side_px: int | None = None) -> int:
    height, width, _ = rgb.shape
    scale = 1.0 if max_side_px is None else min(1.0, max_side_px / max(height, width))
    patches: int = math.ceil(height * scale / PATCH_PX) * math.ceil(width * scale / PATCH_PX)
    return min(max(patches, MIN_PICTURE), MAX_PICTURE)
