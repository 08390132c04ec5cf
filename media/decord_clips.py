"""The same job as ``media.clips`` with decord, for ``VLM_DECODER=decord``.

PyAV's guarded open has accepted the file before (container, stream, size): decord has no whitelist
of its own. Its measured faults (wrong frames in open-GOP H.264, HEVC and MPEG-TS; one broken packet
loses the file) are why it is not the default. Runs in a decoder process only.
"""

import numpy as np
from decord import DECORDError, VideoReader

from contracts.errors import ParseError, PictureTooLarge
from contracts.media import U8
from media.container import OpenVideo
from media.frame_sizer import FrameSizer
from media.jobs import ClipAnswer, ClipJob, PixelSink
from media.sampling import choose_frames


def read_decord_clip(job: ClipJob, fd: int, video: OpenVideo, sink: PixelSink) -> ClipAnswer:
    """Decode the asked frames; frame times are those that decord says."""
    try:
        reader = VideoReader(f"/proc/self/fd/{fd}", num_threads=1)
        spans_s = np.atleast_2d(reader.get_frame_timestamp(np.arange(len(reader))))
    except (DECORDError, RuntimeError, IndexError):
        raise _unreadable() from None
    times_s = [float(t) for t in spans_s[:, 0] - spans_s[0, 0]]
    duration_s = float(spans_s[-1, 1] - spans_s[0, 0])
    order = sorted(range(len(times_s)), key=times_s.__getitem__)
    choice = choose_frames(
        [times_s[i] for i in order],
        duration_s,
        job.sampling,
        default_num_frames=job.default_num_frames,
        max_frames=job.max_frames,
    )
    sizer = FrameSizer(job.size_wh, job.pixels)
    shape = (0, 0, 0)
    for index in choice.indices:
        rgb = sizer(_frame(reader, order[index], job.max_pixels))
        sink.write(rgb)
        shape = (rgb.shape[0], rgb.shape[1], 3)
    width, height = sizer.source_wh or (0, 0)
    return ClipAnswer(
        shape=shape,
        times_s=tuple(times_s[order[i]] for i in choice.indices),
        width=width,
        height=height,
        duration_s=duration_s,
        source_fps=len(times_s) / duration_s if duration_s > 0 else None,
        num_source_frames=len(times_s),
        codec=video.stream.codec_context.name,
        start_s=choice.start_s,
        end_s=choice.end_s,
        sampled_by=choice.sampled_by,
    )


def _frame(reader: VideoReader, index: int, max_pixels: int) -> U8:
    try:
        rgb: U8 = reader[index].asnumpy()
    except (DECORDError, RuntimeError, IndexError):
        raise _unreadable() from None
    if rgb.shape[0] * rgb.shape[1] > max_pixels:
        raise PictureTooLarge(f"a frame has more than {max_pixels} pixels", kind="video")
    return rgb


def _unreadable() -> ParseError:
    return ParseError("the video is damaged, or of a kind that decord cannot read", kind="video")
