"""What becomes of a stream that is lost, comes back, ends or goes."""

import pytest

from contracts.streams import StreamState
from live.alerting.notice import Notice
from live.alerting.stream_health import StreamHealth, remove, turn
from tests.live.stage import at, new_ids, told


def play(script: str) -> tuple[StreamHealth, list[Notice]]:
    """A state each ten seconds."""
    health, new_id = StreamHealth("door", "Front door"), new_ids()
    notices: list[Notice] = []
    names = {state.value[0]: state for state in StreamState}
    for index, letter in enumerate(script):
        step = turn(health, names[letter], at(10 * index), new_id)
        health = step.health
        notices += step.notices
    return health, notices


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("crs", []),
        ("crl", ["20 begin"]),
        ("crlclcl", ["20 begin"]),  # trying again neither ends it nor begins another
        ("crlcr", ["20 begin", "40 end"]),
        ("crslr", ["30 begin", "40 end"]),
        ("cf", ["10 begin"]),
        ("clf", ["10 begin"]),
        ("cfcr", ["10 begin", "30 end"]),
        ("crle", ["20 begin", "30 end stream_ended"]),
        ("cre", []),
        ("lrlr", ["0 begin", "10 end", "20 begin", "30 end"]),
    ],
)
def test_the_event_of_a_lost_stream(script: str, expected: list[str]) -> None:
    assert [told(notice) for notice in play(script)[1]] == expected


def test_the_event_says_which_stream_and_nothing_of_rules() -> None:
    event = play("l")[1][0].event
    assert (event.type, event.severity, event.suppressed) == ("stream_lost", "warning", False)
    assert (event.stream_id, event.stream_name) == ("door", "Front door")
    assert (event.rule_id, event.prompt, event.score, event.evidence) == (None,) * 4


@pytest.mark.parametrize(
    ("script", "after_s", "expected"),
    [
        ("rl", 69, False),
        ("rl", 70, True),
        ("rlclc", 70, True),
        ("rlcr", 200, False),
        ("rs", 200, False),
        ("rf", 70, True),
    ],
)
def test_a_stream_is_lost_for_good_after_a_minute(
    script: str, after_s: float, expected: bool
) -> None:
    assert play(script)[0].is_lost_for_good(at(after_s)) == expected


def test_with_the_stream_goes_its_event() -> None:
    health, _ = play("rl")
    step = remove(health, at(15))
    assert [told(notice) for notice in step.notices] == ["15 end stream_deleted"]
    assert remove(step.health, at(16)).notices == ()


def test_what_is_over_is_over() -> None:
    assert play("re")[0].is_over
    assert not play("rl")[0].is_over
