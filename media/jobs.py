"""What a decoder process is asked, and what it answers; crosses the process boundary.

Requests come from us and are pickled. Answers come from a process that has read a stranger's file:
they are JSON, checked here, and pixels are raw bytes in a memory file.
"""

import functools
import json
import math
import os
import pickle
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from PIL import Image, ImageFile

from contracts.errors import (
    DecodeLimit,
    EmptyTimeRange,
    MediaError,
    MediaKind,
    ParseError,
    PictureTooLarge,
    ServiceError,
    UnsupportedMediaType,
)
from contracts.media import U8, FrameSampling, PixelRange

MEDIA_ERRORS: dict[str, type[MediaError]] = {
    cls.__name__: cls for cls in (DecodeLimit, ParseError, PictureTooLarge, UnsupportedMediaType)
}


@dataclass(frozen=True, slots=True)
class ImageJob:
    """Decode one picture of a format that was recognised."""

    image_format: str
    max_pixels: int
    pixels: PixelRange


@dataclass(frozen=True, slots=True)
class ClipJob:
    """Choose and decode frames of a video.

    ``max_frames`` is the server's cap, ``max_pixels`` that of one frame of the file.
    """

    sampling: FrameSampling
    default_num_frames: int
    max_frames: int
    max_pixels: int
    size_wh: tuple[int, int] | None
    pixels: PixelRange
    decoder: Literal["pyav", "decord"]
    is_known_format: bool


@dataclass(frozen=True, slots=True)
class FrameListJob:
    """Decode pictures that lie one after another in the file, to one size.

    ``spans`` are (offset, size in bytes, format) of each.
    """

    spans: tuple[tuple[int, int, str], ...]
    max_pixels: int
    size_wh: tuple[int, int] | None
    pixels: PixelRange


Job = ImageJob | ClipJob | FrameListJob


@dataclass(frozen=True, slots=True)
class Limits:
    """What one decoder may use."""

    memory_bytes: int
    cpu_s: int


@dataclass(frozen=True, slots=True)
class Request:
    """One message to the fork server."""

    job: Job
    kind: MediaKind
    limits: Limits


@dataclass(frozen=True, slots=True)
class PictureAnswer:
    """One picture: ``shape`` of its pixels, and the file's own size, upright."""

    shape: tuple[int, int, int]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ClipAnswer:
    """Frames, all of ``shape``, and what ``contracts.media.Clip`` says of them."""

    shape: tuple[int, int, int]
    times_s: tuple[float, ...]
    width: int
    height: int
    duration_s: float | None = None
    source_fps: float | None = None
    num_source_frames: int = 0
    codec: str = ""
    start_s: float = 0.0
    end_s: float = 0.0
    sampled_by: str = ""
    warnings: tuple[str, ...] = ()


Answer = PictureAnswer | ClipAnswer
ANSWERS: dict[str, type[PictureAnswer] | type[ClipAnswer]] = {
    cls.__name__: cls for cls in (PictureAnswer, ClipAnswer)
}


class PixelSink:
    """A memory file that takes pictures one after another, up to a number of bytes."""

    def __init__(self, fd: int, max_bytes: int, kind: MediaKind) -> None:
        self._fd = fd
        self._kind: MediaKind = kind
        self._left = max_bytes

    def write(self, rgb: U8) -> None:
        """Append one picture.

        Args:
            rgb: uint8, shape (H, W, 3), contiguous.

        Raises:
            DecodeLimit: There is no room left.
        """
        self._take_room(rgb.nbytes)
        rest = memoryview(rgb.reshape(-1).data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def write_picture(self, picture: Image.Image) -> None:
        """Append an RGB picture, row by row: there is never a second copy of it in memory.

        Raises:
            DecodeLimit: There is no room left.
        """
        self._take_room(num_bytes((picture.height, picture.width, 3), 1))
        rows = ImageFile._Tile("raw", (0, 0, *picture.size), 0, "RGB")
        with open(self._fd, "wb", buffering=0, closefd=False) as file:
            ImageFile._save(picture, file, [rows])

    def _take_room(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise DecodeLimit(
                "the asked pictures take more memory than a decoder may; ask for fewer frames or"
                " set max_pixels",
                kind=self._kind,
            )


@functools.lru_cache(maxsize=64)
def encode_request(request: Request) -> bytes:
    """A request pickled; most pictures are asked for in the same words."""
    return pickle.dumps(request)


def decode_request(message: bytes) -> Request:
    """Read a request; it must come from our own service."""
    request: Request = pickle.loads(message)
    return request


def encode_answer(answer: Answer) -> bytes:
    """An answer as JSON."""
    return json.dumps({"answer": type(answer).__name__, **asdict(answer)}).encode()


def encode_error(exc: ServiceError) -> bytes:
    """A refusal as JSON."""
    return json.dumps({"error": type(exc).__name__, "message": exc.message}).encode()


def encode_fault(report: str) -> bytes:
    """An exception that nobody expected, as JSON."""
    return json.dumps({"fault": report}).encode()


class DecoderFault(Exception):
    """The decoder met an exception that nobody expected; the text is for the log only."""


def decode_answer(message: bytes, kind: MediaKind) -> Answer:
    """Read an answer.

    Raises:
        MediaError, EmptyTimeRange: What the decoder refused.
        DecoderFault: It failed otherwise, or what it sent is no answer.
    """
    try:
        fields = json.loads(message)
        if "answer" in fields:
            return _build(ANSWERS[fields.pop("answer")], fields)
    except (ValueError, TypeError, KeyError) as exc:
        raise DecoderFault("the decoder's answer does not parse") from exc
    if "error" in fields:
        raise _error(str(fields["error"]), str(fields.get("message")), kind)
    raise DecoderFault(str(fields.get("fault")))


def _build(cls: type[PictureAnswer] | type[ClipAnswer], fields: dict[str, object]) -> Answer:
    tuples = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    answer = cls(**tuples)  # type: ignore[arg-type]  # checked right below
    if len(answer.shape) != 3 or not all(isinstance(n, int) and n > 0 for n in answer.shape):
        raise ValueError("shape")
    return answer


def _error(name: str, message: str, kind: MediaKind) -> ServiceError:
    if name == EmptyTimeRange.__name__:
        return EmptyTimeRange(message, param="start_s")
    return MEDIA_ERRORS.get(name, ParseError)(message, kind=kind)


def num_bytes(shape: Sequence[int], count: int) -> int:
    """Bytes of ``count`` pictures of one shape."""
    return math.prod(shape) * count
