"""Pictures and clips of noise, the same every time."""

import numpy as np

from contracts.chat import ChatMessage, ImagePart, TextPart, VideoPart
from contracts.media import Clip, Frame, Picture


def picture(width: int, height: int, seed: int = 0) -> Picture:
    """Smooth noise: neighbouring pixels are alike, so a wrong place or filter shows."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3))
    rgb = coarse.repeat(4, axis=0).repeat(4, axis=1)[:height, :width].astype(np.uint8)
    return Picture(rgb, width, height, "png")


def clip(num_frames: int = 5, width: int = 52, height: int = 36) -> Clip:
    """The clip that ``recorded`` holds: a frame every half second."""
    frames = tuple(
        Frame(picture(width, height, 100 + index).rgb, index * 0.5) for index in range(num_frames)
    )
    end_s = num_frames * 0.5
    return Clip(frames, end_s, 2.0, num_frames, width, height, "h264", 0.0, end_s, "default")


def user(*parts: Picture | Clip | str) -> ChatMessage:
    """A user's message."""
    return ChatMessage("user", tuple(_part(part) for part in parts))


def _part(part: Picture | Clip | str) -> ImagePart | VideoPart | TextPart:
    if isinstance(part, Picture):
        return ImagePart(part)
    return VideoPart(part) if isinstance(part, Clip) else TextPart(part)
