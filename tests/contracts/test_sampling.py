"""Which wishes for frames contradict each other."""

import pytest

from contracts.errors import ConflictingParameters, ServiceError, TooManyFrames
from contracts.media import FrameSampling
from contracts.sampling import check_sampling

CAP = 64


@pytest.mark.parametrize(
    ("sampling", "error", "needles"),
    [
        (FrameSampling(num_frames=65), TooManyFrames, ["num_frames", "65", "64"]),
        (FrameSampling(max_frames=65), TooManyFrames, ["max_frames", "65", "64"]),
        (FrameSampling(fps=2, num_frames=8), ConflictingParameters, ["fps=2", "8 frames", "0.5 s"]),
        (
            FrameSampling(num_frames=32, max_frames=16),
            ConflictingParameters,
            ["num_frames=32", "max_frames=16"],
        ),
        (FrameSampling(start_s=5, end_s=3), ConflictingParameters, ["start_s=5", "end_s=3", "-2"]),
        (FrameSampling(end_s=0), ConflictingParameters, ["end_s=0"]),
    ],
)
def test_contradictions_are_refused_without_a_file(
    sampling: FrameSampling, error: type[ServiceError], needles: list[str]
) -> None:
    with pytest.raises(error) as caught:
        check_sampling(sampling, CAP, at="video_url")
    assert all(needle in caught.value.message for needle in needles)
    assert (caught.value.param or "").startswith("video_url.")


@pytest.mark.parametrize(("at", "param"), [("", "fps"), ("a[0].video_url", "a[0].video_url.fps")])
def test_the_field_is_named_where_it_stands(at: str, param: str) -> None:
    with pytest.raises(ConflictingParameters) as caught:
        check_sampling(FrameSampling(fps=1, num_frames=2), CAP, at=at)
    assert caught.value.param == param
    assert caught.value.message.startswith(f"{param}=1 ")


def test_what_goes_together_passes() -> None:
    for sampling in (FrameSampling(), FrameSampling(2, None, 64, 0, 1), FrameSampling(None, 64)):
        check_sampling(sampling, CAP)
