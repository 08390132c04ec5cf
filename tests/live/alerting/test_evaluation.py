"""When a rule counts as not evaluated, and when that is over."""

from dataclasses import replace

import pytest

from contracts.events import EndReason
from live.alerting.evaluation import Evaluation, EvaluationWatch, patience_s
from live.alerting.notice import Notice
from tests.live.stage import PLAIN, at, new_ids, told

WATCH = EvaluationWatch(PLAIN, "door", "Front door", new_ids())


def wait_until(evaluation: Evaluation, start_s: int, end_s: int) -> tuple[Evaluation, list[Notice]]:
    notices: list[Notice] = []
    for second in range(start_s, end_s + 1):
        step = WATCH.wait(evaluation, at(second))
        evaluation = step.evaluation
        notices += step.notices
    return evaluation, notices


@pytest.mark.parametrize(("interval_s", "expected"), [(0.2, 60), (6, 60), (6.1, 61), (3600, 36000)])
def test_patience_is_ten_intervals_and_at_least_a_minute(
    interval_s: float, expected: float
) -> None:
    assert patience_s(replace(PLAIN, interval_s=interval_s)) == pytest.approx(expected)


def test_it_begins_once_after_the_patience_and_ends_with_a_known_look() -> None:
    evaluation, notices = wait_until(Evaluation(), 0, 200)
    assert [told(notice) for notice in notices] == ["60 begin"]
    event = notices[0].event
    assert (event.type, event.severity, event.rule_id) == ("not_evaluated", "warning", "r-door")
    assert (event.score, event.num_looks, event.frame_times, event.evidence) == (None,) * 4
    step = WATCH.see(evaluation, at(201))
    assert [told(notice) for notice in step.notices] == ["201 end"]
    assert step.notices[0].event.id == event.id
    assert step.notices[0].event.ended_at == at(201)


def test_a_known_look_begins_the_waiting_anew() -> None:
    evaluation, _ = wait_until(Evaluation(), 0, 59)
    evaluation = WATCH.see(evaluation, at(59)).evaluation
    _, notices = wait_until(evaluation, 60, 119)
    assert [told(notice) for notice in notices] == ["119 begin"]


@pytest.mark.parametrize("reason", ["schedule", "rule_deleted", "stream_ended"])
def test_what_is_not_expected_is_not_missed(reason: EndReason) -> None:
    evaluation, _ = wait_until(Evaluation(), 0, 60)
    step = WATCH.stop(evaluation, reason, at(61))
    assert [told(notice) for notice in step.notices] == [f"61 end {reason}"]
    assert WATCH.stop(step.evaluation, reason, at(62)).notices == ()
    _, notices = wait_until(step.evaluation, 100, 160)
    assert [told(notice) for notice in notices] == ["160 begin"]
