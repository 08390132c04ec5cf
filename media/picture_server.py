"""Forks decoders of pictures; ``media.start_server`` runs it.

Without the video libraries, whose mappings would make every fork several times as expensive.
"""

import io

from PIL import Image

from contracts.media import PixelRange
from media.decoder_process import REHEARSAL_LIMITS, Work
from media.fork_server import serve
from media.images import read_frame_list, read_image
from media.jobs import Answer, FrameListJob, ImageJob, Job, PixelSink, Request, encode_request

SIZE_WH = (64, 64)
JOB = ImageJob("jpeg", SIZE_WH[0] * SIZE_WH[1], PixelRange())
REQUEST = Request(JOB, "image", REHEARSAL_LIMITS)


def run(job: Job, fd: int, sink: PixelSink) -> Answer:
    """Read the picture or the list of pictures behind a descriptor."""
    if isinstance(job, ImageJob):
        return read_image(job, fd, sink)
    assert isinstance(job, FrameListJob)
    return read_frame_list(job, fd, sink)


def small_jpeg() -> bytes:
    """A file of our own."""
    encoded = io.BytesIO()
    Image.new("RGB", SIZE_WH).save(encoded, "JPEG")
    return encoded.getvalue()


def work() -> Work:
    """What decoders of pictures do."""
    return Work(run, (encode_request(REQUEST), small_jpeg()))


def main(control_fd: int) -> None:
    """Serve until the control socket closes."""
    serve(control_fd, work())
