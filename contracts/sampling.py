"""Which wishes for frames go together: the one check, made before any file is fetched.

Pure. Which frames of a file the wishes mean is ``media.sampling``'s decision.
"""

from contracts.errors import ConflictingParameters, TooManyFrames
from contracts.media import FrameSampling


def check_sampling(sampling: FrameSampling, max_frames: int, *, at: str = "") -> None:
    """Refuse what no file could satisfy.

    Args:
        sampling: What was asked.
        max_frames: The server's cap.
        at: Path of the object that holds the fields, for messages and the error's ``param``.

    Raises:
        TooManyFrames: ``num_frames`` or ``max_frames`` is above the cap.
        ConflictingParameters: Two fields say different things; the message says what.
    """
    prefix = f"{at}." if at else ""
    for name, count in (("num_frames", sampling.num_frames), ("max_frames", sampling.max_frames)):
        if count is not None and count > max_frames:
            path = f"{prefix}{name}"
            message = f"{path}: expected <= {max_frames} (VLM_MAX_FRAMES), got {count}"
            raise TooManyFrames(message, param=path)
    _check_counts(sampling, prefix)
    start_s, end_s = sampling.start_s or 0.0, sampling.end_s
    if end_s is not None and start_s >= end_s:
        raise ConflictingParameters(
            f"{prefix}start_s={start_s:g} and end_s={end_s:g} resolve to a range of"
            f" {end_s - start_s:g} s; send start_s < end_s",
            param=f"{prefix}start_s",
        )


def _check_counts(sampling: FrameSampling, prefix: str) -> None:
    fps, num_frames, max_frames = sampling.fps, sampling.num_frames, sampling.max_frames
    if fps is not None and num_frames is not None:
        raise ConflictingParameters(
            f"{prefix}fps={fps:g} resolves to a frame every {1 / fps:g} s,"
            f" num_frames={num_frames} to {num_frames} frames in all; send one of them",
            param=f"{prefix}fps",
        )
    if num_frames is not None and max_frames is not None and num_frames > max_frames:
        raise ConflictingParameters(
            f"{prefix}num_frames={num_frames} resolves to {num_frames} frames,"
            f" max_frames={max_frames} to no more than {max_frames}; send num_frames <= max_frames",
            param=f"{prefix}num_frames",
        )
