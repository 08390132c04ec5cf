"""Which frames of a live stream a question sees, as a clip.

The newest frame is always one of them; the others lie evenly in time before it, none twice.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from math import inf

from contracts.media import Clip, Frame
from contracts.streams import LookBack
from live.streams.ring_buffer import Entry, RingBuffer

ROUNDING_S = 1e-3


def select_entries(entries: Sequence[Entry], look_back: LookBack) -> tuple[Entry, ...]:
    """The entries that a question sees, in time order; all of the newest one's shape.

    Args:
        entries: Of one buffer, oldest first.
        look_back: What is asked; a buffer that is shorter gives what there is.
    """
    if not entries:
        return ()
    newest = entries[-1]
    if look_back.seconds is None:
        return tuple(one for one in entries if one.shape == newest.shape)[-look_back.num_frames :]
    since_s = newest.time_s - look_back.seconds - ROUNDING_S
    near = [one for one in entries if one.time_s >= since_s and one.shape == newest.shape]
    chosen = spread([one.time_s for one in near], look_back.num_frames)
    return tuple(near[index] for index in chosen)


def spread(times_s: Sequence[float], count: int) -> list[int]:
    """Places of ``count`` times, evenly from the first to the last, the last included.

    Each is the nearest to where it should be of those that are left, so none comes twice; fewer
    times than asked are all taken.

    Args:
        times_s: Ascending, at least one.
        count: At least 1.
    """
    count = min(count, len(times_s))
    last = len(times_s) - 1
    if count == 1:
        return [last]
    step_s = (times_s[-1] - times_s[0]) / (count - 1)
    chosen = [last]
    for left in range(count - 2, -1, -1):  # so many are still to be chosen after this one
        place = _nearest(times_s, times_s[0] + left * step_s)
        chosen.append(max(left, min(place, chosen[-1] - 1)))
    return chosen[::-1]


def _nearest(times_s: Sequence[float], time_s: float) -> int:
    right = bisect_left(times_s, time_s)
    before = times_s[right - 1] if right else -inf
    after = times_s[right] if right < len(times_s) else inf
    return right - 1 if time_s - before < after - time_s else right


def read_clip(
    ring: RingBuffer,
    look_back: LookBack,
    *,
    size_wh: tuple[int, int],
    codec: str,
    source_fps: float | None,
) -> Clip | None:
    """Read the frames that a question sees; ``None`` if there are none.

    Args:
        ring: Where they lie.
        look_back: Which ones.
        size_wh: Of the source's picture, which may be larger than the frames.
        codec: FFmpeg's name of the source's codec.
        source_fps: What the source sends.
    """
    entries = ring.entries
    frames = tuple(ring.read_all(select_entries(entries, look_back)))
    if not frames:
        return None
    start_s = frames[0].time_s
    span_s = frames[-1].time_s - start_s
    return Clip(
        frames=tuple(_counted_from(start_s, frame) for frame in frames),
        duration_s=span_s,
        source_fps=source_fps,
        num_source_frames=len(entries),
        width=size_wh[0],
        height=size_wh[1],
        codec=codec,
        start_s=0.0,
        end_s=span_s,
        sampled_by="live",
    )


def _counted_from(start_s: float, frame: Frame) -> Frame:
    return replace(frame, time_s=frame.time_s - start_s)
