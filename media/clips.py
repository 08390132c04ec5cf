"""A decoder process's work on a video: index, choose, decode, resize, write out.

Knows nothing of processes or HTTP. Pixels go to a ``PixelSink``, the rest is the returned answer.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from av.video.frame import VideoFrame

from contracts.errors import ParseError
from contracts.media import U8
from media.container import OpenVideo, open_video
from media.decode import FrameWalk, decode_frames
from media.frame_sizer import FrameSizer
from media.index import FrameIndex, index_frames
from media.jobs import ClipAnswer, ClipJob, PixelSink
from media.sampling import FrameChoice, choose_frames


def read_clip(job: ClipJob, fd: int, sink: PixelSink) -> ClipAnswer:
    """Decode the asked frames of the video behind a descriptor.

    Raises:
        MediaError: The file cannot be used.
        EmptyTimeRange: The asked range holds no frame.
    """
    with open_video(fd, job.max_pixels, is_known_format=job.is_known_format) as video:
        if job.decoder == "decord":
            from media.decord_clips import read_decord_clip  # loads FFmpeg 4.1: only when chosen

            return read_decord_clip(job, fd, video, sink)
        return _read_with_pyav(job, video, sink)


def _read_with_pyav(job: ClipJob, video: OpenVideo, sink: PixelSink) -> ClipAnswer:
    index = index_frames(video)
    choice = choose_frames(
        index.times_s,
        index.end_s,
        job.sampling,
        default_num_frames=job.default_num_frames,
        max_frames=job.max_frames,
    )
    wanted = [index.positions[i] for i in choice.indices]
    walk = FrameWalk(video, index, frozenset(wanted))
    sizer = FrameSizer(job.size_wh, job.pixels)
    shape, positions = (0, 0, 0), []
    for decoded in decode_frames(walk, wanted):
        rgb = sizer(upright_rgb(decoded.picture))
        sink.write(rgb)
        shape = (rgb.shape[0], rgb.shape[1], 3)
        positions.append(decoded.position)
    if not positions or sizer.source_wh is None:
        raise ParseError("the video is damaged: no frame of it could be decoded", kind="video")
    return ClipAnswer(
        shape=shape,
        times_s=tuple(_seconds(index, positions)),
        width=sizer.source_wh[0],
        height=sizer.source_wh[1],
        duration_s=index.duration_s,
        source_fps=index.fps,
        num_source_frames=len(index.positions),
        codec=video.stream.codec_context.name,
        start_s=choice.start_s,
        end_s=choice.end_s,
        sampled_by=choice.sampled_by,
        warnings=(*index.warnings, *_damage(walk, choice, wanted, positions)),
    )


def upright_rgb(picture: VideoFrame) -> U8:
    """The pixels of a frame, turned as its display matrix says: uint8, shape (H, W, 3).

    No colour space is passed on: the frame's own tag decides.
    """
    rgb: U8 = picture.to_ndarray(format="rgb24", threads=1)  # type: ignore[assignment]
    quarter_turns = round((picture.rotation or 0) / 90) % 4
    return np.rot90(rgb, quarter_turns) if quarter_turns else rgb


def _seconds(index: FrameIndex, positions: Sequence[int]) -> Iterator[float]:
    first = index.positions[0]
    return (max(0.0, float((position - first) * index.time_base)) for position in positions)


def _damage(
    walk: FrameWalk, choice: FrameChoice, wanted: Sequence[int], got: Sequence[int]
) -> Iterator[str]:
    if walk.num_damaged:
        yield f"{walk.num_damaged} damaged packets skipped"
    num_lost = len(set(wanted) - set(got))
    if num_lost:
        yield (
            f"{num_lost} of {len(choice.indices)} asked frames are damaged; the whole frame before"
            " stands in where it was not chosen itself"
        )
