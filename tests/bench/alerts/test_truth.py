"""What counts as right, false, missed and left out in the alerts benchmark."""

import pytest

from bench.alerts.truth import Score, Span, Watching, episodes, score

WATCHING = Watching(interval_s=2, window_s=2, num_confirm=2)  # 4.5 s to be sure, 6.5 s between
WATCHED = Span(0, 100)


def scored(spans: list[tuple[float, float]], begins_s: list[float]) -> Score:
    truth = episodes([Span(*span) for span in spans], WATCHING)
    return score(truth, begins_s, WATCHED, WATCHING)


@pytest.mark.parametrize(
    ("spans", "begins_s", "expected"),
    [
        ([(10, 20)], [13], Score(num_right=1, num_found=1)),
        ([(10, 20)], [], Score(num_missed=1)),
        ([(10, 20)], [9.6, 22.4], Score(num_right=1, num_false=1, num_found=1)),
        ([(10, 20)], [9.4, 22.6], Score(num_false=2, num_missed=1)),
        ([], [13], Score(num_false=1)),
        # too short to be sure of: neither right nor missed, but twice is once too often
        ([(10, 14)], [], Score(num_undecidable=1)),
        ([(10, 14)], [12], Score(num_undecidable=1, num_unjudged=1)),
        ([(10, 14)], [12, 15], Score(num_undecidable=1, num_unjudged=1, num_false=1)),
        # a short gap need not be noticed, and may be; a long one has to be
        ([(10, 20), (26, 36)], [13], Score(num_right=1, num_found=1)),
        ([(10, 20), (26, 36)], [13, 29], Score(num_right=2, num_found=1)),
        ([(10, 20), (27, 36)], [13], Score(num_right=1, num_found=1, num_missed=1)),
        ([(10, 20), (27, 36)], [13, 29], Score(num_right=2, num_found=2)),
        # two things at once are one presence
        ([(10, 20), (12, 17)], [13, 14], Score(num_right=1, num_false=1, num_found=1)),
        ([(12, 17), (10, 20), (17, 18)], [13], Score(num_right=1, num_found=1)),
        # cut off at either end
        ([(-5, 10)], [3], Score(num_undecidable=1, num_unjudged=1)),
        ([(85, 94)], [90], Score(num_undecidable=1, num_unjudged=1)),
        ([(-20, -10), (200, 210)], [], Score()),
    ],
)
def test_events_against_the_truth(
    spans: list[tuple[float, float]], begins_s: list[float], expected: Score
) -> None:
    assert scored(spans, begins_s) == expected


def test_shares() -> None:
    total = Score(num_right=49, num_false=1) + Score(num_found=9, num_missed=1)
    assert (total.precision, total.recall) == (0.98, 0.9)
    assert (Score().precision, Score().recall) == (1.0, 1.0)
