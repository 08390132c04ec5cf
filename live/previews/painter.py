"""Draws one picture of a live stream: its newest frame, or a card that says how it stands.

Blocks for some milliseconds. Thread-safe.
"""

import io
from collections.abc import Sequence

from PIL import Image

from contracts.media import Frame
from contracts.moments import rfc3339
from contracts.streams import StreamStatus
from live.previews.overlay import Caption, Card, draw_caption, draw_card, fit_size, scaled

QUALITY = 75  # a preview; 640x360 of a noisy camera is about 40 KB
UNKNOWN_SIZE_WH = (640, 360)  # of a source that has shown nothing yet


def draw_frame(
    frame: Frame, name: str, lines: Sequence[str] | None, max_side: int | None
) -> Image.Image:
    """A frame as people see it.

    Args:
        frame: Not modified.
        name: Of its stream.
        lines: What to write below, under name and time; ``None`` writes nothing at all.
        max_side: Longer side in pixels, at most.
    """
    image = scaled(frame.rgb, max_side)
    if lines is not None:
        moment = "" if frame.captured_at is None else rfc3339(frame.captured_at)
        draw_caption(image, Caption(f"{name}  {moment}", tuple(lines)))
    return image


def draw_state(status: StreamStatus, max_side: int | None) -> Image.Image:
    """The state of a stream, of the shape of its pictures where that is known."""
    size_wh = UNKNOWN_SIZE_WH
    if status.width and status.height:
        size_wh = (status.width, status.height)
    since = f"since {status.state_since:%Y-%m-%d %H:%M:%S} UTC"
    lines = (since,) if status.state_reason is None else (since, status.state_reason)
    card = Card(status.config.name or status.config.id, status.state, lines)
    return draw_card(card, fit_size(size_wh, max_side))


def to_jpeg(image: Image.Image) -> bytes:
    """A picture as JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
