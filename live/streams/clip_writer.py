"""Frames of a live stream as an MP4 that any browser plays, at the times they were captured."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from contracts.media import U8, Frame
from contracts.streams import ClipSpan

TIME_BASE = Fraction(1, 1000)
ASSUMED_GAP_MS = 250  # how long the last frame stays when it is the only one
OPTIONS = {
    "preset": "veryfast",
    "tune": "zerolatency",  # every picture gives its packet at once, so that it gets its duration
    "crf": "26",
    "x264-params": "threads=1",
}


def write_clip(frames: Iterable[Frame], path: Path) -> ClipSpan | None:
    """Encode frames, one at a time, as H.264; the file is there when it is whole, or not at all.

    Args:
        frames: In time order, with the moments of their capture; pictures that are of another
            size than the first are scaled to it.
        path: Overwritten.

    Returns:
        What it shows; ``None``, and no file, without frames.
    """
    part = path.with_name(path.name + ".part")
    try:
        span = _write(frames, part)
        if span is not None:
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return span


def _write(frames: Iterable[Frame], path: Path) -> ClipSpan | None:
    first: Frame | None = None
    num_frames, last, gap_ms = 0, first, ASSUMED_GAP_MS
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        for frame in frames:
            if first is None or last is None:
                first = last = frame
                stream = _add_stream(container, frame.rgb)
            time_ms = round((frame.time_s - first.time_s) * 1000)
            gap_ms = max(1, round((frame.time_s - last.time_s) * 1000)) if num_frames else gap_ms
            _encode(container, stream, frame.rgb, time_ms, gap_ms)
            num_frames, last = num_frames + 1, frame
        if first is None or last is None:
            return None
        container.mux(stream.encode(None))
    assert first.captured_at is not None
    assert last.captured_at is not None
    return ClipSpan(first.captured_at, last.captured_at, num_frames)


def _add_stream(container: OutputContainer, rgb: U8) -> VideoStream:
    height, width, _ = rgb.shape
    stream = container.add_stream("libx264", options=OPTIONS)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = max(2, width // 2 * 2), max(2, height // 2 * 2)
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = stream.time_base = TIME_BASE
    return stream


def _encode(
    container: OutputContainer, stream: VideoStream, rgb: U8, time_ms: int, gap_ms: int
) -> None:
    picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        width=stream.width, height=stream.height, format="yuv420p", threads=1
    )
    picture.pts, picture.time_base = time_ms, TIME_BASE
    for packet in stream.encode(picture):
        packet.duration = gap_ms  # only that of the last one counts
        container.mux(packet)
