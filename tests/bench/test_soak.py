"""The soak's findings, and a short one that finds nothing wrong with the service."""

from pathlib import Path

import pytest

from bench.engine.checkpoint import write_checkpoint
from bench.engine.load import Answer
from bench.soak import DEADLINE_S, Soak, outcome, soak
from demo.serving import served

ANSWERED = Answer(0.0, [1.0], 2.0, 200)


def seen(**changes: object) -> Soak:
    usual = {"per_s": 5.0, "seconds": 10.0, "answers": [ANSWERED], "health_s": [0.01, 0.02]}
    return Soak(**{**usual, "resident_mb": [500.0] * 20, **changes})  # type: ignore[arg-type]


def test_requests_end_in_one_of_these_ways() -> None:
    ends = {
        "answered": ANSWERED,
        "answered too late": Answer(0.0, [1.0], DEADLINE_S + 1.0, 200),
        "refused with 429 and Retry-After": Answer(0.0, [], None, 429, 3),
        "refused with 429 without Retry-After": Answer(0.0, [], None, 429),
        "broken off": Answer(0.0, [1.0], None, 200),
        "status 504": Answer(0.0, [], 1.0, 504),
    }
    assert {outcome(answer): answer for answer in ends.values()} == ends


def test_nothing_is_wrong_where_all_were_answered_or_refused() -> None:
    refused = Answer(0.0, [], None, 429, 3)
    found = seen(answers=[ANSWERED, refused])
    assert found.problems == []
    assert "All as it should be." in found.table()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"answers": [ANSWERED, Answer(0.0, [], None, 503)]}, "1 requests: status 503"),
        ({"answers": []}, "nothing was answered"),
        ({"resident_mb": [500.0] * 15 + [600.0] * 5}, "memory grew by 20%"),
        ({"health_s": [0.01, 1.5]}, "/livez took 1.5 s"),
        ({"steps_for_nobody": 7.0}, "7.0 steps for clients that had left"),
    ],
)
def test_what_is_wrong_is_told(changes: dict[str, object], problem: str) -> None:
    found = seen(**changes)
    assert found.problems == [problem]
    assert problem in found.table()


def test_memory_that_rises_only_at_first_does_not_grow() -> None:
    assert seen(resident_mb=[300.0, 400.0, *[500.0] * 18]).growth == 0


@pytest.mark.slow
@pytest.mark.e2e
async def test_a_short_soak(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "llava")
    variables = {"VLM_MODEL": str(checkpoint), "VLM_DTYPE": "bfloat16"}
    with served(variables) as url:
        found = await soak(url, checkpoint.name, seconds=4, warm_up_s=2)
    assert found.outcomes.keys() <= {"answered", "refused with 429 and Retry-After"}
    assert found.outcomes["answered"]
    assert found.steps_for_nobody <= 2
