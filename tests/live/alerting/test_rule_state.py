"""Every sentence of API.md 5.3 that a rule on one stream has to keep."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from contracts.events import Evidence, Look, Score
from contracts.rules import Confirm, Rule
from live.alerting.rule_state import RuleState, verdict
from tests.live.stage import PLAIN, Run, at, look, new_ids, on_stream, seconds


def rule(
    n: int = 2, of: int = 3, on: float = 0.6, off: float = 0.4, cooldown_s: float = 1000
) -> Rule:
    return replace(
        PLAIN, confirm=Confirm(n, of), on_threshold=on, off_threshold=off, cooldown_s=cooldown_s
    )


def calm(n: int = 2, of: int = 3) -> Rule:
    """Without cooldown there are no suppressed begins, only updates, which the tests leave out."""
    return rule(n, of, cooldown_s=0)


@pytest.mark.parametrize(
    ("rule", "script", "expected"),
    [
        # n of the last `of` known looks turn it on, and it stays on between the thresholds.
        (calm(), "Y", []),
        (calm(), "YY", ["4 begin"]),
        (calm(), "YNY", ["6 begin"]),
        (calm(), "YNNY", []),
        (calm(), "Y-Y", ["6 begin"]),
        (calm(), "Y--Y", []),
        (calm(), "YY----", ["4 begin"]),
        (calm(), "YYN", ["4 begin"]),
        (calm(), "YYNN", ["4 begin", "8 end"]),
        (calm(), "YYN-N", ["4 begin", "10 end"]),
        (calm(), "YYN--N", ["4 begin"]),
        (calm(), "YYNNYY", ["4 begin", "8 end", "12 begin"]),
        (calm(1, 1), "YNYN", ["2 begin", "4 end", "6 begin", "8 end"]),
        (calm(3, 3), "YYNYYY", ["12 begin"]),
        (calm(10, 10), "YYYYYYYYY", []),
        (calm(10, 10), "YYYYYYYYYY", ["20 begin"]),
        # Unknown looks count for neither side and never become "no".
        (calm(), "Y?Y", ["6 begin"]),
        (calm(), "Y????Y", ["12 begin"]),
        (calm(), "YY??????", ["4 begin"]),
        (calm(), "YYN????N", ["4 begin", "16 end"]),
        (calm(1, 1), "?", []),
        # Looks before a change still count for the next one: the last `of`, whenever they were.
        (calm(3, 5), "YYY NN", ["6 begin"]),
        (calm(3, 5), "YYY NNN", ["6 begin", "12 end"]),
        (calm(3, 5), "YYY NNNY", ["6 begin", "12 end"]),
        (calm(3, 5), "YNYNY NNYY", ["10 begin", "12 end", "18 begin"]),
        # With n at most half of `of`, an old look does not turn it over.
        (calm(1, 3), "YNNN", ["2 begin", "4 end"]),
        (calm(1, 3), "YNNY", ["2 begin", "4 end", "8 begin"]),
        (calm(1, 3), "Y-", ["2 begin"]),
        (calm(2, 4), "YYNNN", ["4 begin", "8 end"]),
    ],
)
def test_when_it_turns_on_and_off(rule: Rule, script: str, expected: list[str]) -> None:
    run = Run(rule).looks(script)
    assert [line for line in run.told if "update" not in line] == expected


@pytest.mark.parametrize(
    ("on", "off", "score", "expected"),
    [
        (0.6, 0.4, 0.6, "yes"),
        (0.6, 0.4, 0.5999, "unsure"),
        (0.6, 0.4, 0.4001, "unsure"),
        (0.6, 0.4, 0.4, "no"),
        (0.5, 0.5, 0.5, "yes"),  # equal thresholds: off is below them
        (0.5, 0.5, 0.4999, "no"),
        (0.0, 0.0, 0.0, "yes"),
        (1.0, 1.0, 1.0, "yes"),
        (1.0, 0.0, 0.5, "unsure"),
    ],
)
def test_what_one_look_says(on: float, off: float, score: float, expected: str) -> None:
    assert verdict(rule(on=on, off=off), look(score, 0)) == expected


def test_an_unknown_look_says_nothing_whatever_its_score() -> None:
    assert verdict(rule(), look("?", 0)) == "unknown"


def test_equal_thresholds_never_leave_a_rule_between() -> None:
    machine = on_stream(replace(rule(1, 1, on=0.5, off=0.5), cooldown_s=0))
    on = machine.see(RuleState(), look(0.5, 0), at(0))
    assert on.state.event is not None
    assert machine.see(on.state, look(0.5, 2), at(2)).state.event is not None
    assert machine.see(on.state, look(0.4999, 2), at(2)).state.event is None


def test_a_look_is_dated_by_its_newest_frame_and_messages_by_the_clock() -> None:
    machine = on_stream(rule(1, 1))
    begun = machine.see(RuleState(), look("Y", 10, lag_s=3), at(10))
    event = begun.notices[0].event
    assert (event.began_at, event.updated_at, begun.notices[0].at) == (at(7), at(7), at(10))
    assert event.frame_times == (at(6), at(7))
    over = machine.see(begun.state, look("N", 20, lag_s=3), at(20))
    assert (over.notices[0].event.ended_at, over.notices[0].at) == (at(17), at(20))
    assert over.notices[0].event.frame_times == (at(6), at(7))


@pytest.mark.parametrize("lag_s", [0.0, 1.0])
def test_without_a_newer_frame_there_is_no_look(lag_s: float) -> None:
    machine = on_stream(rule(2, 2))
    once = machine.see(RuleState(), look("Y", 2), at(2))
    again = machine.see(once.state, look("Y", 2, lag_s=lag_s), at(4))
    assert again.state == once.state
    assert again.notices == ()


def test_an_event_keeps_its_id_and_says_what_began_it() -> None:
    run = Run(rule(2, 3, cooldown_s=0)).looks("YYY").looks("?").looks("NN")
    assert [notice.kind for notice in run.notices] == ["begin", *["update"] * 3, "end"]
    assert len({notice.event.id for notice in run.notices}) == 1
    last = run.notices[-1].event
    assert (last.rule_id, last.rule_name, last.prompt) == (PLAIN.id, PLAIN.name, PLAIN.prompt)
    assert (last.stream_id, last.stream_name, last.severity) == ("door", "Front door", "warning")
    assert (last.type, last.state, last.model) == ("alert", "ended", "model")
    assert last.num_looks == 5
    assert last.id.startswith("evt_")


def test_scores_are_of_the_first_the_highest_and_the_last_known_look() -> None:
    machine = on_stream(rule(1, 1, cooldown_s=0))
    state = RuleState()
    scores: list[float | str] = [0.8, 0.97, "?", 0.7]
    for second, score in enumerate(scores):
        state = machine.see(state, look(score, second), at(second)).state
    assert state.event is not None
    assert state.event.score == Score(0.8, 0.97, 0.7)


def test_a_picture_is_kept_of_the_begin_and_of_a_new_peak() -> None:
    machine = on_stream(rule(1, 1))
    begun = machine.see(RuleState(), look(0.8, 0), at(0)).state
    assert begun.event is not None
    assert begun.event.evidence == Evidence(has_frame=True)
    lower = machine.see(begun, look(0.7, 2), at(2)).state
    assert lower.event is not None
    assert lower.event.evidence == Evidence(has_frame=True)
    higher = machine.see(lower, look(0.9, 4), at(4)).state
    assert higher.event is not None
    assert higher.event.evidence == Evidence(has_frame=True, has_peak=True)
    blind = machine.see(higher, Look(0.95, True, (at(6),)), at(6)).state
    assert blind.event is not None
    assert blind.event.evidence == Evidence(has_frame=True, has_peak=False)


@pytest.mark.parametrize(
    ("cooldown_s", "script", "expected"),
    [
        (0, "YYYY?-", ["4 begin", "6 update", "8 update", "10 update", "12 update"]),
        (0.5, "YYYYYYY", ["4 begin", "14 update"]),
        (10, "YYYYYYYYYYYY", ["4 begin", "14 update", "24 update"]),
        (12, "YYYYYYYYYYYYYYYY", ["4 begin", "16 update", "28 update"]),
        (60, "Y" * 40, ["4 begin", "64 update"]),
    ],
)
def test_how_often_an_open_event_is_told_of_again(
    cooldown_s: float, script: str, expected: list[str]
) -> None:
    assert Run(rule(cooldown_s=cooldown_s)).looks(script).told == expected


def test_no_update_comes_without_a_look() -> None:
    assert Run(rule(cooldown_s=10)).looks("YY").wait(100).told == ["4 begin"]


def test_a_begin_within_the_cooldown_is_kept_from_sinks_and_told_to_feeds() -> None:
    run = Run(rule(1, 1, cooldown_s=60)).looks("YN").looks("Y")
    assert run.told == ["2 begin", "4 end", "6 begin (quiet)"]
    assert run.notices[-1].event.suppressed


def test_it_gets_out_when_the_cooldown_is_over_if_it_is_still_on() -> None:
    run = Run(rule(1, 1, cooldown_s=60)).looks("YNY").wait(100)
    assert run.told == ["2 begin", "4 end", "6 begin (quiet)", "62 update (sinks: begin)"]
    assert not run.notices[-1].event.suppressed
    assert run.looks("N").told[-1] == "108 end"


def test_it_never_gets_out_if_it_ended_before_and_nothing_of_it_is_lost() -> None:
    run = Run(rule(1, 1, cooldown_s=60)).looks("YNYN").wait(100)
    assert run.told == ["2 begin", "4 end", "6 begin (quiet)", "8 end (quiet)"]
    assert run.notices[-1].event.suppressed


def test_it_gets_out_at_a_look_too_before_the_look_counts() -> None:
    run = Run(rule(1, 1, cooldown_s=60)).looks("YNY")
    run.now_s = 70
    assert run.looks("N").told[-2:] == ["72 update (sinks: begin)", "72 end"]


def test_updates_of_a_suppressed_event_are_for_feeds_alone() -> None:
    run = Run(rule(1, 1, cooldown_s=60)).looks("YNY")
    step = run.machine.see(run.state, look("Y", 7), at(5))  # a clock put back makes one due early
    run.take(step)
    assert run.told[-1] == "5 update (quiet)"


def test_the_cooldown_runs_from_what_sinks_were_told() -> None:
    run = Run(rule(1, 1, cooldown_s=60)).looks("YNY").wait(60).looks("NY")
    assert run.told[3:] == ["62 update (sinks: begin)", "68 end", "70 begin (quiet)"]
    assert run.wait(60).told[-1] == "122 update (sinks: begin)"


def test_without_cooldown_every_begin_is_told() -> None:
    run = Run(rule(1, 1, cooldown_s=0)).looks("YNYN")
    assert run.told == ["2 begin", "4 end", "6 begin", "8 end"]


def test_a_clock_that_was_put_back_silences_nothing() -> None:
    machine = on_stream(rule(1, 1, cooldown_s=60))
    state = RuleState(sinks_told_at=at(10_000))
    assert machine.see(state, look("Y", 0), at(0)).notices[0].sink_kind == "begin"


@pytest.mark.parametrize("reason", ["stream_lost", "stream_ended", "schedule", "rule_changed"])
def test_another_end_forgets_what_was_seen_but_not_the_cooldown(reason: str) -> None:
    run = Run(rule(cooldown_s=60)).looks("YY")
    step = run.machine.end(run.state, reason, at(10))  # type: ignore[arg-type]
    run.take(step)
    run.now_s = 10
    assert run.told == ["4 begin", f"10 end {reason}"]
    assert run.notices[-1].event.ended_at == at(10)
    assert run.looks("Y").told[2:] == []
    assert run.looks("Y").told[2:] == ["14 begin (quiet)"]


def test_an_end_without_an_event_only_forgets() -> None:
    run = Run(rule()).looks("Y")
    run.take(run.machine.end(run.state, "schedule", at(3)))
    assert run.told == []
    assert run.state == RuleState()


def test_new_thresholds_weigh_the_looks_that_were_made() -> None:
    run = Run(rule()).looks("--").change(on_threshold=0.45, off_threshold=0.3)
    assert run.looks("-").told == ["6 begin"]


@pytest.mark.parametrize(
    ("script", "expected"),
    [("", False), ("Y", False), ("N", True), ("-", True), ("YY", True), ("YYN", False)],
)
def test_a_rule_is_settled_when_the_same_again_could_change_nothing(
    script: str, expected: bool
) -> None:
    run = Run(calm()).looks(script)
    assert run.machine.is_settled(run.state) == expected


def random_run(source: random.Random) -> tuple[Run, str]:
    of = source.randint(1, 10)
    confirm = Confirm(source.randint(1, of), of)
    off, on = sorted(source.choice([0.1, 0.4, 0.5, 0.6, 0.9]) for _ in range(2))
    cooldown_s = source.choice([0.0, 5.0, 10.0, 60.0])
    run = Run(replace(PLAIN, confirm=confirm, on_threshold=on, off_threshold=off))
    run.change(cooldown_s=cooldown_s)
    weights = [source.random() for _ in range(4)]
    return run, "".join(source.choices("YN-?", weights, k=200))


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_seen_every_event_begins_once_and_ends_once(seed: int) -> None:
    source = random.Random(seed)
    run, script = random_run(source)
    for letter in script:
        run.looks(letter, every_s=source.choice([0.2, 2.0, 7.0]))
    kinds: dict[str, list[str]] = {}
    for notice in run.notices:
        kinds.setdefault(notice.event.id, []).append(notice.kind)
    for told in kinds.values():
        assert told[0] == "begin"
        assert "begin" not in told[1:]
        assert "end" not in told[:-1]
    open_ids = [event_id for event_id, told in kinds.items() if told[-1] != "end"]
    assert open_ids == ([] if run.state.event is None else [run.state.event.id])


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_seen_begins_reach_sinks_no_closer_than_the_cooldown(seed: int) -> None:
    source = random.Random(seed)
    run, script = random_run(source)
    for letter in script:
        run.looks(letter, every_s=source.choice([0.2, 2.0, 7.0]))
    begins = [seconds(notice.at) for notice in run.notices if notice.sink_kind == "begin"]
    gaps = [later - earlier for earlier, later in pairwise(begins)]
    assert all(gap >= run.machine.rule.cooldown_s - 1e-6 for gap in gaps)
    for notice in run.notices:
        assert (notice.sink_kind is None) == notice.event.suppressed


@pytest.mark.parametrize("seed", range(60))
def test_unknown_looks_change_nothing_but_counts(seed: int) -> None:
    source = random.Random(seed)
    run, script = random_run(source)
    sieved = Run(run.machine.rule)
    for letter in script:
        run.looks(letter)
        sieved.now_s = run.now_s - 2
        sieved.looks(letter if letter != "?" else "")
        assert [k.p_yes for k in run.state.looks] == [k.p_yes for k in sieved.state.looks]
        assert (run.state.event is None) == (sieved.state.event is None)


def test_ids_sort_by_time_and_repeat_with_their_source() -> None:
    new_id = new_ids()
    ids = [new_id(at(second)) for second in range(50)]
    assert ids == sorted(ids)
    assert len({*ids}) == 50
    assert ids[0] == new_ids()(at(0))
    assert len(ids[0]) == len("evt_") + 26
