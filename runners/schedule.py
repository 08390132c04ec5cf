"""Whose turn it is: work in the order of its urgency, within what there is room for.

Short prompts and judgements come before long prompts, the earliest deadline first among them; for
every ``AGEING_S`` seconds that work waits it rises a rank, so newcomers pass it only for so long.
Judgements wait for no room: they write no answer and hold memory only while they are read.
Pure: knows nothing of threads, tensors or clocks.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from contracts.work_class import WorkClass

SHORT_TOKENS = 1024  # of a prompt that others need not wait for
AGEING_S = 2.0
MAX_LONG_BEGUN = 4  # long prompts that are half read: each holds memory, and none answers


class Schedulable(Protocol):
    """What is known of a piece of work before it is begun; times are monotonic."""

    @property
    def work_class(self) -> WorkClass:
        """Whose work it is."""
        ...

    @property
    def submitted_s(self) -> float:
        """When it came."""
        ...

    @property
    def deadline_s(self) -> float:
        """When nobody wants it any more."""
        ...

    @property
    def num_prompt_tokens(self) -> int:
        """Tokens to be read."""
        ...

    @property
    def num_kv_tokens(self) -> int:
        """Tokens that it will probably hold at its longest, all choices together."""
        ...

    @property
    def num_choices(self) -> int:
        """Answers that it will write at a time; 0 where it writes none."""
        ...


W = TypeVar("W", bound=Schedulable)


@dataclass(frozen=True, slots=True)
class Room:
    """What there is room for.

    Attributes:
        num_choices: Answers that may be written besides those that are.
        num_kv_tokens: Tokens that may be held besides those that are.
    """

    num_choices: int
    num_kv_tokens: int

    def fits(self, work: Schedulable) -> bool:
        """Whether work may be begun."""
        if not work.num_choices:
            return self != FULL
        return work.num_choices <= self.num_choices and work.num_kv_tokens <= self.num_kv_tokens


FULL = Room(-1, -1)
EMPTY = Room(1 << 31, 1 << 62)  # where nothing is begun, anything may try


def rank(work: Schedulable, now_s: float) -> int:
    """How urgent work is, lowest first; below 0 when it has waited for long."""
    return int(is_long(work)) - int((now_s - work.submitted_s) / AGEING_S)


def is_long(work: Schedulable) -> bool:
    """Whether others come before it at first."""
    return work.work_class != "alert" and work.num_prompt_tokens > SHORT_TOKENS


def next_work(
    begun: Sequence[W],
    waiting: Sequence[W],
    room: Room,
    now_s: float,
    *,
    passing: Collection[W] = (),
) -> W | None:
    """What to go on with, or to begin; ``None`` when nothing may be done.

    What does not fit is passed over, until it is overdue: then nothing is begun before it that
    would take its room.

    Args:
        begun: Prompts that are half read.
        waiting: Work that was not begun.
        room: For what is not begun.
        now_s: The time.
        passing: Of what is half read, what goes on already.
    """
    may_begin_long = sum(map(is_long, begun)) < MAX_LONG_BEGUN
    is_room_kept = False
    for work in sorted([*begun, *waiting], key=lambda one: _urgency(one, now_s)):
        if work in passing:
            continue
        if work in begun:
            return work
        if is_long(work) and not may_begin_long:
            continue
        if room.fits(work) and not (is_room_kept and work.num_choices):
            return work
        is_room_kept = is_room_kept or rank(work, now_s) < 0
    return None


def cannot_be_kept(work: Schedulable, now_s: float, s_per_token: float) -> bool:
    """Whether work would come too late even at the best pace of reading that was seen lately."""
    return now_s + work.num_prompt_tokens * s_per_token >= work.deadline_s


def _urgency(work: Schedulable, now_s: float) -> tuple[int, float, float]:
    return rank(work, now_s), work.deadline_s, work.submitted_s
