"""Requests for chat completions: random pictures and clips, and a question about each.

Clips have eight frames. Lookout gets them as a video made of frames; servers that know no videos
for this architecture get the same files as pictures.
"""

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.engine.checkpoint import SIZE_PX

U8 = npt.NDArray[np.uint8]
Medium = Literal["picture", "clip"]
MEDIA: tuple[Medium, ...] = ("picture", "clip")

FRAMES_OF_CLIP = 8
MAX_TOKENS = 32
COARSE = 8  # cells of a picture's side; between them it is smooth, as photographs are


@dataclass(frozen=True, slots=True)
class Questions:
    """Makes request bodies, all different.

    Args:
        medium: What is asked about.
        is_repeated: Whether all ask about one picture or clip, each something else.
        has_video: Whether the server takes frames as a video.
        model: Its name in requests.
        seed: Other seeds, other pictures.
        max_tokens: Of an answer.
        extra: Further fields of the body.
    """

    medium: Medium
    is_repeated: bool
    has_video: bool
    model: str
    seed: int = 0
    max_tokens: int = MAX_TOKENS
    extra: Mapping[str, object] | None = None

    def bodies(self) -> Iterator[bytes]:
        """JSON, without an end."""
        drawn = np.random.default_rng(self.seed)
        parts = self._media(drawn)
        while True:
            parts = parts if self.is_repeated else self._media(drawn)
            text = {"type": "text", "text": f"What is here? {drawn.integers(10**6)}"}
            yield json.dumps(self._body([*parts, text])).encode()

    def _body(self, content: Sequence[object]) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self.max_tokens,
            "temperature": 0,
            "stream": True,
            **(self.extra or {}),
        }

    def _media(self, drawn: np.random.Generator) -> list[object]:
        num_frames = 1 if self.medium == "picture" else FRAMES_OF_CLIP
        urls = [data_url(to_jpeg(draw_picture(drawn))) for _ in range(num_frames)]
        if self.medium == "clip" and self.has_video:
            return [{"type": "video_url", "video_url": {"url": urls, "num_frames": num_frames}}]
        return [{"type": "image_url", "image_url": {"url": url}} for url in urls]


def draw_picture(drawn: np.random.Generator) -> U8:
    """A smooth random picture, uint8, shape (SIZE_PX, SIZE_PX, 3)."""
    coarse = Image.fromarray(drawn.integers(0, 256, (COARSE, COARSE, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC), dtype=np.uint8)


def to_jpeg(rgb: U8) -> bytes:
    """At quality 90, about 3 kB."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=90)
    return file.getvalue()


def data_url(jpeg: bytes) -> str:
    """The picture, in the URL itself."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
