"""What happened in front of a camera against what a rule told of it. Pure; times are seconds.

A rule tells of a change when n looks in a row see it, and a look sees whatever could be seen in its
window. So what can be told apart is limited, and what cannot is not counted, for or against:

- Spans of presence belong to one *episode* when the gap between them is shorter than the window and
  n intervals (and ``SLACK_S``), for the rule need not notice it; from so long on it has to. An
  episode of k spans may be told as one event or as any number up to k; one more is false.
- An episode is *decidable* when one of its spans lasts n intervals (and ``SLACK_S``): then n looks
  fall into it, wherever they lie. An event of an undecidable episode is left out.
- What began before the watch did, or had no time to end before its end, is left out.
- An event is of an episode when its frame, the newest of the look that began it, lies between the
  episode's begin and its end plus the window.

Recall is the share of the decidable episodes that have an event; precision is the share of events
that are of an episode and not one too many.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SLACK_S = 0.5  # frames are sampled four times a second and dated by arrival


@dataclass(frozen=True, slots=True)
class Watching:
    """How a rule looks: every ``interval_s`` at ``window_s``; ``num_confirm`` looks in a row."""

    interval_s: float
    window_s: float
    num_confirm: int

    @property
    def confirm_s(self) -> float:
        """A change that lasts so long is seen by enough looks."""
        return self.num_confirm * self.interval_s + SLACK_S


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when something could be seen."""

    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Episode:
    """Spans that a rule need not tell apart."""

    spans: tuple[Span, ...]

    @property
    def begin_s(self) -> float:
        """Of the first span."""
        return self.spans[0].begin_s

    @property
    def end_s(self) -> float:
        """Of the last span."""
        return max(span.end_s for span in self.spans)

    def is_decidable(self, watching: Watching) -> bool:
        """Whether the rule has to tell of it."""
        longest_s = max(span.end_s - span.begin_s for span in self.spans)
        return longest_s >= watching.confirm_s

    def may_begin(self, time_s: float, watching: Watching) -> bool:
        """Whether an event whose frame is of this time can be of it."""
        last_s = self.end_s + watching.window_s + SLACK_S
        return self.begin_s - SLACK_S <= time_s <= last_s


@dataclass(frozen=True, slots=True)
class Score:
    """How many of what; scores of several rules add up.

    Attributes:
        num_right: Events of decidable episodes.
        num_false: Events of none, or one too many.
        num_found: Decidable episodes that were told.
        num_missed: Decidable episodes that were not.
        num_undecidable: Episodes left out, those that were cut off at either end too.
        num_unjudged: Events left out with them.
    """

    num_right: int = 0
    num_false: int = 0
    num_found: int = 0
    num_missed: int = 0
    num_undecidable: int = 0
    num_unjudged: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.num_right + other.num_right,
            self.num_false + other.num_false,
            self.num_found + other.num_found,
            self.num_missed + other.num_missed,
            self.num_undecidable + other.num_undecidable,
            self.num_unjudged + other.num_unjudged,
        )

    @property
    def precision(self) -> float:
        """Share of the events that were right, 0 to 1; 1 without any."""
        return _share(self.num_right, self.num_false)

    @property
    def recall(self) -> float:
        """Share of the decidable episodes that were told, 0 to 1; 1 without any."""
        return _share(self.num_found, self.num_missed)


def episodes(spans: Iterable[Span], watching: Watching) -> list[Episode]:
    """Spans, in any order, as a rule can tell them apart."""
    least_gap_s = watching.window_s + watching.confirm_s
    found: list[Episode] = []
    for span in sorted(_united(spans), key=lambda one: one.begin_s):
        if found and span.begin_s - found[-1].end_s < least_gap_s:
            found[-1] = Episode((*found[-1].spans, span))
        else:
            found.append(Episode((span,)))
    return found


def score(
    truth: Sequence[Episode], begins_s: Iterable[float], watched: Span, watching: Watching
) -> Score:
    """Compare one rule's events on one stream with the truth.

    Args:
        truth: All episodes, those outside ``watched`` too.
        begins_s: Time of the frame that began each event.
        watched: From when to when the rule looked.
        watching: How it looked.
    """
    told: dict[Episode, int] = dict.fromkeys(truth, 0)
    total = Score()
    for time_s in begins_s:
        of = next((one for one in truth if one.may_begin(time_s, watching)), None)
        if of is None:
            total += Score(num_false=1)
        else:
            told[of] += 1
    for episode, num_events in told.items():
        total += _score(episode, num_events, watched, watching)
    return total


def _score(episode: Episode, num_events: int, watched: Span, watching: Watching) -> Score:
    ends_s = episode.end_s + watching.window_s + watching.confirm_s
    is_whole = watched.begin_s <= episode.begin_s and ends_s <= watched.end_s
    if not is_whole:
        is_seen = watched.begin_s < episode.end_s and episode.begin_s < watched.end_s
        return Score(num_undecidable=int(is_seen), num_unjudged=num_events)
    num_false = max(0, num_events - len(episode.spans))
    num_right = num_events - num_false
    if not episode.is_decidable(watching):
        return Score(num_false=num_false, num_undecidable=1, num_unjudged=num_right)
    is_found = num_events > 0
    return Score(num_right, num_false, int(is_found), int(not is_found))


def _united(spans: Iterable[Span]) -> list[Span]:
    """The same time as spans that do not overlap, in order."""
    united: list[Span] = []
    for span in sorted(spans, key=lambda one: one.begin_s):
        if united and span.begin_s <= united[-1].end_s:
            end_s = max(united[-1].end_s, span.end_s)
            united[-1] = Span(united[-1].begin_s, end_s)
        else:
            united.append(span)
    return united


def _share(num_good: int, num_bad: int) -> float:
    return num_good / (num_good + num_bad) if num_good + num_bad else 1.0
