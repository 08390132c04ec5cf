"""Which rules are due when, and which are asked together."""

import random
from dataclasses import replace

from contracts.rules import Rule, Window
from live.alerting.look_planner import LookPlan, LookPlanner
from tests.live.stage import PLAIN


def rule(name: str, interval_s: float = 2.0, window: Window = Window(2, 4)) -> Rule:  # noqa: B008  # a value
    return replace(PLAIN, id=name, interval_s=interval_s, window=window)


def names(plans: list[LookPlan]) -> list[str]:
    """Each plan as its stream and its rules."""
    return [f"{plan.stream_id}: {' '.join(rule.id for rule in plan.rules)}" for plan in plans]


class Run:
    """A planner that is asked, and whose plans are finished, as time goes by."""

    def __init__(self, *pairs: tuple[Rule, str]) -> None:
        self.planner = LookPlanner()
        self.pairs = pairs

    def at(self, now_s: float, **newest: int) -> list[str]:
        plans = self.planner.plan(now_s, self.pairs, newest)
        for plan in plans:
            self.planner.finish(plan)
        return names(plans)


def test_rules_with_the_same_frames_are_asked_in_one_go() -> None:
    run = Run((rule("a"), "door"), (rule("b"), "door"), (rule("a"), "yard"))
    assert run.at(0.0, door=1, yard=1) == ["door: a b", "yard: a"]


def test_other_frames_are_another_question() -> None:
    still = rule("b", window=Window(0, 1))
    run = Run((rule("a"), "door"), (still, "door"), (rule("c"), "door"))
    assert run.at(0.0, door=1) == ["door: a c", "door: b"]


def test_without_a_new_frame_there_is_no_look_and_with_one_it_comes_at_once() -> None:
    run = Run((rule("a"), "door"))
    assert run.at(0.0) == []
    assert run.at(0.1, door=5) == ["door: a"]
    assert run.at(2.0, door=5) == []
    assert run.at(2.5, door=5) == []
    assert run.at(2.6, door=6) == ["door: a"]


def test_rules_of_different_streams_do_not_wait_for_each_other() -> None:
    run = Run((rule("a"), "door"), (rule("a"), "yard"))
    assert run.at(0.0, door=1, yard=1) == ["door: a", "yard: a"]
    assert run.at(2.0, door=1, yard=2) == ["yard: a"]


def test_rules_that_came_at_different_times_meet_on_the_grid() -> None:
    run = Run((rule("a"), "door"))
    assert run.at(0.3, door=1) == ["door: a"]
    run.pairs = (*run.pairs, (rule("b", 4.0), "door"))
    assert run.at(1.1, door=2) == ["door: b"]
    told = [run.at(second / 10, door=100 + second) for second in range(12, 82)]
    assert [one for one in told if one] == [["door: a"], ["door: a b"], ["door: a"], ["door: a b"]]


def test_looks_that_came_too_late_do_not_pile_up() -> None:
    run = Run((rule("a"), "door"))
    assert run.at(0.0, door=1) == ["door: a"]
    assert run.at(11.0, door=2) == ["door: a"]
    assert run.at(11.1, door=3) == []
    assert run.at(12.0, door=4) == ["door: a"]


def test_a_rule_that_is_being_asked_is_not_asked_again() -> None:
    planner, pairs = LookPlanner(), [(rule("a"), "door")]
    [plan] = planner.plan(0.0, pairs, {"door": 1})
    assert (plan.sequence, plan.look_back.seconds, plan.look_back.num_frames) == (1, 2, 4)
    assert planner.plan(5.0, pairs, {"door": 2}) == []
    assert planner.next_due_s() is None
    planner.finish(plan)
    assert names(planner.plan(5.0, pairs, {"door": 2})) == ["door: a"]


def test_what_is_expected_no_more_is_forgotten_and_due_at_once_when_it_comes_back() -> None:
    planner, pair = LookPlanner(), (rule("a"), "door")
    [plan] = planner.plan(0.0, [pair], {"door": 1})
    assert planner.plan(0.1, [], {"door": 2}) == []
    planner.finish(plan)
    assert names(planner.plan(0.2, [pair], {"door": 2})) == ["door: a"]


def test_it_says_when_something_is_due_next() -> None:
    run = Run((rule("a", 2.0), "door"), (rule("b", 0.5), "door"))
    assert run.planner.next_due_s() is None
    run.at(0.1, door=1)
    assert run.planner.next_due_s() == 0.5


def test_over_time_each_rule_gets_its_share_whatever_the_others_want() -> None:
    source = random.Random(3)
    rules = [rule(str(i), source.choice([0.2, 0.5, 1, 2, 3])) for i in range(8)]
    run = Run(*((one, "door") for one in rules))
    counts = dict.fromkeys((one.id for one in rules), 0)
    for step in range(1200):
        for line in run.at(step * 0.05, door=step):
            for name in line.partition(": ")[2].split():
                counts[name] += 1
    for one in rules:
        expected = 60 / one.interval_s
        assert abs(counts[one.id] - expected) <= 1 + 0.02 * expected
