"""Forks decoders of videos; ``media.start_server`` runs it."""

import io

import av
import av.logging

from contracts.media import FrameSampling, PixelRange
from media.clips import read_clip
from media.decoder_process import REHEARSAL_LIMITS, Work
from media.fork_server import serve
from media.jobs import Answer, ClipJob, Job, PixelSink, Request, encode_request

SIZE_WH = (64, 64)
NUM_FRAMES = 2
JOB = ClipJob(
    sampling=FrameSampling(),
    default_num_frames=NUM_FRAMES,
    max_frames=NUM_FRAMES,
    max_pixels=1 << 16,  # decoders surround pictures with some of their own
    size_wh=(32, 32),
    pixels=PixelRange(),
    decoder="pyav",
    is_known_format=True,
)
REQUEST = Request(JOB, "video", REHEARSAL_LIMITS)


def run(job: Job, fd: int, sink: PixelSink) -> Answer:
    """Read the asked frames of the video behind a descriptor."""
    assert isinstance(job, ClipJob)
    return read_clip(job, fd, sink)


def small_clip() -> bytes:
    """A file of our own."""
    encoded = io.BytesIO()
    with av.open(encoded, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=NUM_FRAMES)
        stream.width, stream.height = SIZE_WH
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # a server forks
        for _ in range(NUM_FRAMES):
            container.mux(stream.encode(av.VideoFrame(*SIZE_WH, "yuv420p")))
        container.mux(stream.encode(None))
    return encoded.getvalue()


def work() -> Work:
    """What decoders of videos do."""
    return Work(run, (encode_request(REQUEST), small_clip()))


def main(control_fd: int) -> None:
    """Serve until the control socket closes."""
    av.logging.set_level(av.logging.PANIC)
    serve(control_fd, work())
