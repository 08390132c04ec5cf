import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from contracts.errors import EmptyTimeRange
from contracts.media import FrameSampling
from media.sampling import FrameChoice, choose_frames, choose_from_list
from tests.media.conftest import SHARED

CAP = 64
GOLDEN = json.loads((SHARED / "golden" / "frame_sampling.json").read_text())
LLAVA_CASES = [
    case
    for case in GOLDEN["llava_video.load_video"]
    if "frame_idx" in case and case["force_sample"] and case["total_frames"] >= case["max_frames"]
]


def constant(num_frames: int, fps: float) -> list[float]:
    return [i / fps for i in range(num_frames)]


def choose(
    times_s: list[float], duration_s: float, sampling: FrameSampling, default: int = 16
) -> FrameChoice:
    return choose_frames(times_s, duration_s, sampling, default_num_frames=default, max_frames=CAP)


TEN_SECONDS = constant(300, 30)


@pytest.mark.parametrize("case", LLAVA_CASES)
def test_a_constant_rate_is_sampled_as_the_original_does(case: dict[str, Any]) -> None:
    times_s = constant(case["total_frames"], case["avg_fps"])
    duration_s = case["total_frames"] / case["avg_fps"]
    choice = choose(times_s, duration_s, FrameSampling(num_frames=case["max_frames"]))
    assert list(choice.indices) == case["frame_idx"]
    written = ",".join(f"{times_s[i]:.2f}s" for i in choice.indices)
    assert written == case["frame_time"]


def test_a_clip_shorter_than_asked_gives_each_frame_once_where_the_original_repeats() -> None:
    repeating = [c for c in GOLDEN["llava_video.load_video"] if "frame_idx" in c]
    assert any(len(set(c["frame_idx"])) < len(c["frame_idx"]) for c in repeating)
    assert choose(constant(10, 30), 1 / 3, FrameSampling(num_frames=16)).indices == tuple(range(10))


@pytest.mark.parametrize(
    ("sampling", "times_s", "sampled_by"),
    [
        (FrameSampling(num_frames=1), [0.0], "num_frames"),
        (FrameSampling(num_frames=3), [0.0, 149 / 30, 299 / 30], "num_frames"),
        (FrameSampling(fps=0.5), [0, 2, 4, 6, 8, 299 / 30], "fps"),
        (FrameSampling(fps=0.3), [0, 100 / 30, 200 / 30, 299 / 30], "fps"),
        (FrameSampling(fps=1, start_s=2.5, end_s=4.5), [2.5, 3.5, 4.5], "fps"),
        (FrameSampling(fps=1, start_s=8, end_s=99), [8, 9, 299 / 30], "fps"),
        (FrameSampling(num_frames=2, start_s=1, end_s=2), [1, 2], "num_frames"),
        (FrameSampling(max_frames=2), [0, 299 / 30], "default+max_frames"),
        (FrameSampling(fps=1, max_frames=3), [0, 149 / 30, 299 / 30], "fps+max_frames"),
        (FrameSampling(num_frames=5, start_s=1.01, end_s=1.02), [1.0], "num_frames"),
        (FrameSampling(fps=120, start_s=0, end_s=0.1), [0, 1 / 30, 2 / 30, 3 / 30], "fps"),
    ],
)
def test_times_and_their_reason(
    sampling: FrameSampling, times_s: list[float], sampled_by: str
) -> None:
    choice = choose(TEN_SECONDS, 10.0, sampling)
    assert [TEN_SECONDS[i] for i in choice.indices] == pytest.approx(times_s)
    assert choice.sampled_by == sampled_by


def test_the_default_is_the_models() -> None:
    choice = choose(TEN_SECONDS, 10.0, FrameSampling(), default=8)
    assert (len(choice.indices), choice.sampled_by) == (8, "default")


def test_a_default_above_the_cap_is_lowered() -> None:
    choice = choose(TEN_SECONDS, 10.0, FrameSampling(), default=100)
    assert (len(choice.indices), choice.sampled_by) == (CAP, "default+max_frames")


def test_a_cap_that_the_file_does_not_reach_lowers_nothing() -> None:
    choice = choose(constant(5, 30), 5 / 30, FrameSampling(max_frames=8))
    assert (choice.indices, choice.sampled_by) == ((0, 1, 2, 3, 4), "default")


def test_a_still_scene_counts_once_at_a_rate_and_not_against_a_count() -> None:
    times_s = [0.0, 0.1, 0.2, 8.0, 9.0]  # the third picture stays for 7.8 s
    assert choose(times_s, 10.0, FrameSampling(fps=1)).indices == (0, 2, 3, 4)
    assert choose(times_s, 10.0, FrameSampling(num_frames=4)).indices == (0, 2, 3, 4)


def test_times_rounded_to_milliseconds_still_mean_their_frames() -> None:
    rounded = [round(i / 30, 3) for i in range(300)]
    for count in (2, 14, 16, 24, 47):
        asked = FrameSampling(num_frames=count)
        assert choose(rounded, 10.0, asked).indices == choose(TEN_SECONDS, 10.0, asked).indices


def test_a_very_high_rate_over_a_slow_clip_is_no_work() -> None:
    choice = choose([0.0, 36_000.0, 72_000.0], 108_000.0, FrameSampling(fps=120))
    assert choice.indices == (0, 1, 2)


def test_every_choice_is_sorted_distinct_and_includes_both_ends() -> None:
    rng = np.random.default_rng(7)
    for _ in range(300):
        gaps = rng.choice([0.001, 1 / 30, 0.2, 5.0], size=int(rng.integers(1, 200)))
        times_s = [0.0, *np.cumsum(gaps).tolist()]
        count = int(rng.integers(1, CAP + 1))
        choice = choose(times_s, times_s[-1] + 0.03, FrameSampling(num_frames=count))
        assert len(choice.indices) == min(count, len(times_s))
        assert all(a < b for a, b in pairwise(choice.indices))
        assert choice.indices[0] == 0
        assert choice.indices[-1] == (len(times_s) - 1 if count > 1 else 0)
        rate = float(rng.choice([0.1, 1, 7.3, 30, 120]))
        paced = choose(times_s, times_s[-1] + 0.03, FrameSampling(fps=rate))
        assert all(a < b for a, b in pairwise(paced.indices))
        assert len(paced.indices) <= CAP
        assert paced.indices[0] == 0


def test_a_range_after_the_end_is_refused_with_the_duration() -> None:
    with pytest.raises(EmptyTimeRange, match=r"10\.000 s"):
        choose(TEN_SECONDS, 10.0, FrameSampling(start_s=10))


@pytest.mark.parametrize(
    ("listed", "sampling", "indices", "sampled_by"),
    [
        (3, FrameSampling(), (0, 1, 2), "all"),
        (5, FrameSampling(num_frames=3), (0, 2, 4), "num_frames"),
        (5, FrameSampling(num_frames=9), (0, 1, 2, 3, 4), "num_frames"),
        (5, FrameSampling(max_frames=2), (0, 4), "all+max_frames"),
        (5, FrameSampling(num_frames=1), (0,), "num_frames"),
    ],
)
def test_lists_of_frames(
    listed: int, sampling: FrameSampling, indices: tuple[int, ...], sampled_by: str
) -> None:
    choice = choose_from_list(listed, sampling, max_frames=CAP)
    assert (choice.indices, choice.sampled_by) == (indices, sampled_by)


def test_a_list_longer_than_the_cap_is_spread_over_it() -> None:
    choice = choose_from_list(200, FrameSampling(fps=2), max_frames=CAP)
    assert (len(choice.indices), choice.indices[-1], choice.end_s) == (CAP, 199, 100.0)
