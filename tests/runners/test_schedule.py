"""Whose turn it is: urgent work first, and nobody waits for ever."""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from contracts.work_class import WorkClass
from runners.limits import EngineLimits
from runners.schedule import (
    AGEING_S,
    EMPTY,
    FULL,
    MAX_LONG_BEGUN,
    SHORT_TOKENS,
    Room,
    cannot_be_kept,
    next_work,
    rank,
)

LONG = 20 * SHORT_TOKENS


@dataclass(frozen=True)
class Work:
    name: str = ""
    work_class: WorkClass = "chat"
    submitted_s: float = 0.0
    deadline_s: float = 300.0
    num_prompt_tokens: int = 100
    num_kv_tokens: int = 100
    num_choices: int = 1


CHAT, VIDEO = Work("chat"), Work("video", num_prompt_tokens=LONG, num_kv_tokens=LONG)
LOOK = Work("look", "alert", num_prompt_tokens=LONG, deadline_s=5.0, num_choices=0)


def begun_first(*waiting: Work, room: Room = EMPTY, now_s: float = 0.0) -> str | None:
    work = next_work([], waiting, room, now_s)
    return None if work is None else work.name


def test_short_prompts_and_judgements_come_before_long_prompts() -> None:
    assert begun_first(VIDEO, CHAT) == "chat"
    assert begun_first(VIDEO, LOOK) == "look"
    assert begun_first(VIDEO) == "video"


def test_the_earliest_deadline_is_first_among_equals() -> None:
    assert begun_first(CHAT, LOOK) == "look"
    assert begun_first(replace(LOOK, deadline_s=400.0), CHAT) == "chat"


def test_what_goes_on_already_is_passed_over() -> None:
    late = replace(CHAT, name="late", deadline_s=400.0)
    assert next_work([CHAT, VIDEO], [late], EMPTY, 0.0, passing=[CHAT]) is late
    assert next_work([CHAT, VIDEO], [late], FULL, 0.0, passing=[CHAT]) is VIDEO
    assert next_work([CHAT], [], EMPTY, 0.0, passing=[CHAT]) is None


def test_a_long_prompt_makes_way_in_its_middle() -> None:
    assert next_work([VIDEO], [CHAT], EMPTY, 0.0) is CHAT
    assert next_work([VIDEO], [], FULL, 0.0) is VIDEO
    assert next_work([VIDEO], [CHAT], FULL, 0.0) is VIDEO


def test_who_waited_passes_newcomers() -> None:
    now_s = 2 * AGEING_S
    fresh = [replace(CHAT, name="fresh", submitted_s=now_s), replace(LOOK, submitted_s=now_s)]
    assert begun_first(*fresh, VIDEO, now_s=now_s) == "video"
    assert begun_first(*fresh, VIDEO, now_s=AGEING_S - 0.1) == "look"


def test_what_does_not_fit_is_passed_over_until_it_is_overdue() -> None:
    room = Room(num_choices=4, num_kv_tokens=1000)
    assert begun_first(VIDEO, replace(CHAT, deadline_s=900.0), room=room) == "chat"
    now_s = 2 * AGEING_S
    late = replace(CHAT, submitted_s=now_s)
    assert begun_first(VIDEO, late, room=room, now_s=now_s) is None
    assert begun_first(VIDEO, late, room=EMPTY, now_s=now_s) == "video"


def test_room_is_choices_and_memory() -> None:
    limits = EngineLimits(max_waiting=1, max_choices=8, max_kv_bytes=1000)
    room = limits.room(num_choices=5, kv_bytes=400, kv_bytes_per_token=2)
    assert room == Room(3, 300)
    assert room.fits(Work(num_choices=3, num_kv_tokens=300))
    assert not room.fits(Work(num_choices=4, num_kv_tokens=1))
    assert not room.fits(Work(num_choices=1, num_kv_tokens=301))
    assert FULL.fits(Work()) is False


def test_only_so_many_long_prompts_are_half_read() -> None:
    half_read = [replace(VIDEO, name=str(index)) for index in range(MAX_LONG_BEGUN)]
    urgent = replace(VIDEO, deadline_s=1.0)
    assert next_work(half_read, [urgent], EMPTY, 0.0) is half_read[0]
    assert next_work(half_read[1:], [urgent], EMPTY, 0.0) is urgent
    assert next_work(half_read, [urgent, LOOK], EMPTY, 0.0) is LOOK


def test_no_room_and_nobody_who_waits_for_it_stops_a_judgement() -> None:
    now_s = 2 * AGEING_S
    look = replace(LOOK, submitted_s=now_s)
    none = EngineLimits(max_waiting=1).room(num_choices=64, kv_bytes=1 << 40, kv_bytes_per_token=1)
    assert begun_first(VIDEO, CHAT, look, room=none, now_s=now_s) == "look"
    assert begun_first(look, room=FULL, now_s=now_s) is None


def test_work_that_comes_too_late_at_the_best_pace_is_not_begun() -> None:
    work = Work(num_prompt_tokens=1000, deadline_s=10.0)
    assert not cannot_be_kept(work, 8.0, s_per_token=0.001)
    assert cannot_be_kept(work, 9.5, s_per_token=0.001)
    assert cannot_be_kept(work, 10.0, s_per_token=0.0)


@given(st.lists(st.sampled_from(["chat", "look", "video"]), min_size=1, max_size=30), st.integers())
def test_nobody_starves_among_newcomers_that_never_end(kinds: list[str], seed: int) -> None:
    """One long prompt waits while the device could always do something more urgent."""
    makers = {"chat": CHAT, "look": LOOK, "video": VIDEO}
    waiting = [replace(VIDEO, name="first", deadline_s=10_000.0)]
    for turn in range(200):
        now_s = turn * 0.1
        kind = makers[kinds[(turn + seed) % len(kinds)]]
        due_s = now_s + kind.deadline_s
        waiting.append(replace(kind, name="new", submitted_s=now_s, deadline_s=due_s))
        work = next_work([], waiting, EMPTY, now_s)
        assert work is not None
        if work.name == "first":
            return
        waiting.remove(work)
    raise AssertionError("the first one starved")


def test_ranks_rise_with_waiting() -> None:
    assert [rank(VIDEO, now_s) for now_s in (0, AGEING_S, 2 * AGEING_S)] == [1, 0, -1]
    assert [rank(LOOK, now_s) for now_s in (0, AGEING_S)] == [0, -1]
