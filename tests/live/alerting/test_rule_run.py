"""Schedule, streams and evaluation together with the alert, for one rule on one stream."""

from dataclasses import replace
from datetime import time

import pytest

from contracts.events import Evidence
from contracts.rules import Confirm, DailyWindow, Rule, Schedule
from contracts.streams import StreamState
from live.alerting.notice import Notice
from live.alerting.rule_run import RuleRun, Standing
from live.alerting.stream_health import StreamHealth, turn
from live.alerting.tally import Tally
from tests.live.stage import PLAIN, at, look, new_ids, told

QUICK = replace(PLAIN, confirm=Confirm(1, 1), cooldown_s=1000)
AFTERNOON = Schedule("UTC", (DailyWindow(("fri",), time(12), time(12, 1)),))  # one minute


class Run:
    """A rule on a stream, second by second."""

    def __init__(self, rule: Rule = QUICK) -> None:
        self.rule = rule
        self.new_id = new_ids()
        self.health = StreamHealth("door", "Front door", StreamState.RUNNING)
        self.standing = Standing()
        self.notices: list[Notice] = []
        self.now_s = 0.0

    @property
    def run(self) -> RuleRun:
        return RuleRun(self.rule, self.health, self.new_id)

    def wait(self, seconds: float, script: str = "") -> "Run":
        """Let time pass; with a script, one look each two seconds, over and over."""
        for _ in range(round(seconds)):
            self.now_s += 1
            outcome = self.run.advance(self.standing, at(self.now_s))
            if script and self.now_s % 2 == 0:
                letter = script[int(self.now_s / 2 - 1) % len(script)]
                seen = look(letter, self.now_s)
                self.take(outcome.standing, outcome.notices)
                outcome = self.run.see(self.standing, seen, at(self.now_s))
            self.take(outcome.standing, outcome.notices)
        return self

    def take(self, standing: Standing, notices: tuple[Notice, ...]) -> None:
        self.standing = standing
        self.notices += notices

    def stream(self, state: StreamState) -> "Run":
        step = turn(self.health, state, at(self.now_s), self.new_id)
        self.health = step.health
        return self.wait(0)

    @property
    def told(self) -> list[str]:
        return [f"{notice.event.type} {told(notice)}" for notice in self.notices]


def test_a_lost_stream_ends_an_event_after_a_minute() -> None:
    run = Run().wait(4, "Y").stream(StreamState.LOST).wait(59)
    assert run.told == ["alert 2 begin"]
    run.wait(1)
    assert run.told[1] == "alert 64 end stream_lost"
    assert run.told[2:] == ["not_evaluated 64 begin"]


def test_a_stream_that_comes_back_in_time_ends_nothing() -> None:
    run = Run().wait(4, "Y").stream(StreamState.LOST).wait(30)
    run.stream(StreamState.CONNECTING).wait(20).stream(StreamState.RUNNING).wait(100, "Y")
    assert run.told == ["alert 2 begin"]


def test_a_stream_that_ended_ends_an_event_and_expects_nothing() -> None:
    run = Run().wait(4, "Y").stream(StreamState.ENDED).wait(500)
    assert run.told == ["alert 2 begin", "alert 5 end stream_ended"]


def test_out_of_schedule_an_event_ends_and_nothing_is_expected() -> None:
    run = Run(replace(QUICK, schedule=AFTERNOON)).wait(59, "Y")
    assert run.told == ["alert 2 begin"]
    run.wait(500, "Y")
    assert run.told == ["alert 2 begin", "alert 60 end schedule"]


def test_a_rule_that_is_switched_off_ends_its_event() -> None:
    run = Run().wait(4, "Y")
    run.rule = replace(run.rule, enabled=False)
    run.wait(500, "Y")
    assert run.told == ["alert 2 begin", "alert 5 end rule_changed"]


def test_without_known_looks_it_is_not_evaluated_and_an_open_event_goes_on() -> None:
    run = Run().wait(4, "Y").wait(60, "?").wait(20, "?")
    assert run.told == ["alert 2 begin", "not_evaluated 64 begin"]
    assert run.standing.state.event is not None
    run.wait(2, "N")
    assert run.told[2:] == ["alert 86 end", "not_evaluated 86 end"]


def test_unknown_looks_from_the_start_are_missed_too() -> None:
    assert Run().wait(62, "?").told == ["not_evaluated 61 begin"]


def test_while_it_is_not_expected_it_is_not_missed() -> None:
    run = Run().stream(StreamState.ENDED).wait(500).stream(StreamState.RUNNING)
    assert run.wait(59).told == []
    assert run.wait(3).told == ["not_evaluated 561 begin"]


@pytest.mark.parametrize("reason", ["rule_deleted", "stream_deleted", "rule_changed"])
def test_an_end_from_outside_ends_all_that_is_open(reason: str) -> None:
    run = Run().wait(4, "Y").wait(80)
    outcome = run.run.end(run.standing, reason, at(90))  # type: ignore[arg-type]
    ends = [(n.event.type, n.kind, n.event.end_reason) for n in outcome.notices]
    assert ends == [("alert", "end", reason), ("not_evaluated", "end", reason)]


def test_a_clip_that_will_be_written_is_pending_from_the_begin() -> None:
    seen = replace(look("Y", 2), has_clip=True)
    event = Run().run.see(Standing(), seen, at(2)).notices[0].event
    assert event.evidence == Evidence(has_frame=True, clip="pending")


def test_two_rules_and_two_streams_have_separate_states() -> None:
    runs = [Run(), Run(replace(QUICK, id="r-2"))]
    runs[1].health = replace(runs[1].health, stream_id="yard")
    runs[0].wait(4, "Y")
    runs[1].wait(4, "N")
    assert runs[0].told == ["alert 2 begin"]
    assert runs[1].told == []


def test_looks_are_counted_by_what_they_said() -> None:
    tally = Tally()
    assert (tally.achieved_interval_s, tally.num_looks, tally.score) == (None, 0, None)
    tally.count(look("Y", 0), "yes", at(0))
    tally.count(look("?", 3), "unknown", at(3))
    assert (tally.achieved_interval_s, tally.num_looks, tally.score) == (3, 2, 0.9)
    for second in range(4, 40):
        tally.count(look("N", second), "no", at(second))
    assert tally.achieved_interval_s == 1
    assert tally.verdicts == {"yes": 1, "unknown": 1, "no": 36}
