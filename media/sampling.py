"""Which frames of a clip the model sees: the one owner of that decision.

Pure: knows frame times and what was asked, nothing of files, decoders or models. Times are seconds
from the first frame of the file, sorted.

The frame for a time is the one on screen then: the last whose time is not later. No frame is chosen
twice. Where the original LLaVA-Video loader (``force_sample``) and this module see a constant rate,
they choose the same frames: both ends included, evenly, an inexact position cut down to the frame
before. It differs on purpose where the original goes wrong:

- Fewer frames than asked are there: each of them once; the original repeats frames.
- The rate varies: evenly in time; the original counts frames, so a still scene gets too few.
- ``fps`` is wanted: a frame every ``1/fps`` s, the end included; the original rounds the step to
  whole frames, drifts at 29.97 and fails below half a frame a second.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from contracts.errors import EmptyTimeRange, MissingMedia, UnsupportedParameter
from contracts.media import FrameList, FrameSampling
from contracts.sampling import check_sampling

# Times carry the rounding of their container's clock (1 ms in Matroska), so a wanted time may fall
# just before the frame it means. In shortest frame intervals; below 1/63, the finest fraction that
# the original's 64 frames can ask for, so that its cutting down is kept.
CLOCK_TOLERANCE = 0.015


@dataclass(frozen=True, slots=True)
class FrameChoice:
    """What was chosen.

    Attributes:
        indices: Places in the sorted frame times, strictly increasing, at least one.
        start_s: Start of the range they were chosen from.
        end_s: End of it.
        sampled_by: ``default``, ``fps``, ``num_frames``, ``all``, with ``+max_frames`` if lowered.
    """

    indices: tuple[int, ...]
    start_s: float
    end_s: float
    sampled_by: str


def check_list(source: FrameList, sampling: FrameSampling, max_frames: int) -> None:
    """Refuse wishes that no list of single pictures could satisfy.

    Raises:
        MissingMedia: The list is empty.
        UnsupportedParameter: A span of time was asked for.
        TooManyFrames, ConflictingParameters: As ``check_sampling`` says.
    """
    if not source.urls:
        raise MissingMedia("expected at least one picture in the list of frames, got none")
    for name in ("start_s", "end_s"):
        if getattr(sampling, name) is not None:
            message = f"{name} does not go with a list of frames; send only the frames you mean"
            raise UnsupportedParameter(message, param=name)
    check_sampling(replace(sampling, fps=None), max_frames)


def choose_frames(
    times_s: Sequence[float],
    duration_s: float,
    sampling: FrameSampling,
    *,
    default_num_frames: int,
    max_frames: int,
) -> FrameChoice:
    """Choose the frames of one file; ``check_sampling`` has passed.

    Args:
        times_s: When each frame of the file is first on screen, sorted, at least one.
        duration_s: End of the last frame.
        sampling: What was asked.
        default_num_frames: How many the model sees when nothing was said.
        max_frames: The server's cap.

    Raises:
        EmptyTimeRange: The range begins after the end of the file.
    """
    start_s, end_s = _range(duration_s, times_s[-1], sampling)
    tolerance_s = CLOCK_TOLERANCE * min((b - a for a, b in pairwise(times_s)), default=0.0)
    first = _on_screen(times_s, start_s + tolerance_s)
    last = _on_screen(times_s, end_s + tolerance_s)
    available = last - first + 1
    wanted, sampled_by = _count(end_s - start_s, sampling, default_num_frames)
    count = min(wanted, available)
    cap = min(sampling.max_frames or max_frames, max_frames)
    if count > cap:
        indices = _evenly(times_s, first, last, cap, tolerance_s)
        return FrameChoice(indices, start_s, end_s, sampled_by + "+max_frames")
    if sampling.fps is not None:
        indices = _every(times_s, start_s, wanted, sampling.fps, tolerance_s, last)
    else:
        indices = _evenly(times_s, first, last, count, tolerance_s)
    return FrameChoice(indices, start_s, end_s, sampled_by)


def choose_from_list(num_listed: int, sampling: FrameSampling, *, max_frames: int) -> FrameChoice:
    """Choose from a clip that came as single pictures, ``sampling.fps`` of them a second.

    All are taken unless ``num_frames`` or a cap says otherwise; then evenly, both ends included.
    """
    fps = sampling.fps or 1.0
    cap = min(sampling.max_frames or max_frames, max_frames)
    wanted = sampling.num_frames or num_listed
    sampled_by = "all" if sampling.num_frames is None else "num_frames"
    count = min(wanted, num_listed, cap)
    if count < min(wanted, num_listed):
        sampled_by += "+max_frames"
    last = num_listed - 1
    indices = tuple(i * last // max(1, count - 1) for i in range(count))
    return FrameChoice(indices, 0.0, num_listed / fps, sampled_by)


def _range(duration_s: float, last_s: float, sampling: FrameSampling) -> tuple[float, float]:
    start_s = sampling.start_s or 0.0
    if start_s >= duration_s and start_s > last_s:
        raise EmptyTimeRange(
            f"start_s={start_s:g}: expected less than the duration, {duration_s:.3f} s",
            param="start_s",
        )
    return start_s, min(duration_s if sampling.end_s is None else sampling.end_s, duration_s)


def _count(range_s: float, sampling: FrameSampling, default: int) -> tuple[int, str]:
    if sampling.num_frames is not None:
        return sampling.num_frames, "num_frames"
    if sampling.fps is not None:
        return math.floor(range_s * sampling.fps + 1e-6) + 1, "fps"  # 2.9999999 s is 3 s
    return default, "default"


def _on_screen(times_s: Sequence[float], time_s: float) -> int:
    return max(0, bisect_right(times_s, time_s) - 1)


def _every(
    times_s: Sequence[float],
    start_s: float,
    count: int,
    fps: float,
    tolerance_s: float,
    last: int,
) -> tuple[int, ...]:
    """Go from frame to frame: a high rate over a slow clip costs no more than its frames."""
    indices: list[int] = []
    step = 0
    while step < count and (not indices or indices[-1] < last):
        index = min(last, _on_screen(times_s, start_s + step / fps + tolerance_s))
        indices.append(index)
        next_s = times_s[min(index + 1, last)] - tolerance_s
        step = max(step + 1, math.ceil((next_s - start_s) * fps))
    return tuple(dict.fromkeys(indices))


def _evenly(
    times_s: Sequence[float], first: int, last: int, count: int, tolerance_s: float
) -> tuple[int, ...]:
    if count == 1:
        return (first,)
    start_s, span_s = times_s[first], times_s[last] - times_s[first]
    steps = (start_s + span_s * i / (count - 1) + tolerance_s for i in range(count - 1))
    return _distinct([*(_on_screen(times_s, time_s) for time_s in steps), last], first, last)


def _distinct(indices: list[int], first: int, last: int) -> tuple[int, ...]:
    """Move a frame that was chosen twice to its nearest free neighbour, within the range.

    A picture that stays on screen is on screen at several of the times; the count was promised.
    """
    count = len(indices)
    for i in range(count):
        earliest = indices[i - 1] + 1 if i else first
        indices[i] = min(max(indices[i], earliest), last - (count - 1 - i))
    return tuple(indices)
