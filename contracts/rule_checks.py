"""Which rules make sense: the one check, whichever way a rule came in.

Pure. Whether streams and sinks that a rule names exist is checked by who knows them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from contracts.errors import RequestError
from contracts.rules import Rule, Schedule

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_PROMPT_CHARS = 500
MAX_NAME_CHARS = 100
MAX_TARGETS = 8
MAX_CONFIRM = 10
INTERVAL_S = (0.2, 3600.0)
MAX_COOLDOWN_S = 86400.0


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """How much one look may see: VLM_RING_SECONDS and VLM_MAX_FRAMES."""

    max_seconds: float
    max_frames: int


def check_rule(rule: Rule, limits: WindowLimits) -> None:
    """Refuse a rule that could never be right.

    Raises:
        RequestError: ``param`` is the first field that is wrong; the message has up to five.
    """
    problems = [(field, expected) for field, expected, holds in _checks(rule, limits) if not holds]
    if problems:
        told = "; ".join(f"{field}: expected {expected}" for field, expected in problems[:5])
        raise RequestError(told, param=problems[0][0])


def _checks(rule: Rule, limits: WindowLimits) -> Iterator[tuple[str, str, bool]]:
    """Field, what is expected of it, whether it holds."""
    prompt, window, confirm = rule.prompt.strip(), rule.window, rule.confirm
    on, off, (least, most) = rule.on_threshold, rule.off_threshold, INTERVAL_S
    frames, seconds = limits.max_frames, limits.max_seconds
    yield "id", "1 to 64 of A-Z a-z 0-9 _ -", ID.fullmatch(rule.id) is not None
    yield "prompt", "a yes/no question, not blank", prompt != ""
    yield "prompt", f"<= {MAX_PROMPT_CHARS} characters", len(prompt) <= MAX_PROMPT_CHARS
    yield "name", f"<= {MAX_NAME_CHARS} characters", len(rule.name) <= MAX_NAME_CHARS
    yield "window.seconds", f"0 to {seconds:g}", 0 <= window.seconds <= seconds
    yield "window.frames", f"1 to {frames}", 1 <= window.num_frames <= frames
    yield "interval_s", f"{least:g} to {most:g}", least <= rule.interval_s <= most
    yield "on_threshold", "0 to 1", 0 <= on <= 1
    yield "off_threshold", "0 to 1, not above on_threshold", 0 <= off <= 1 and off <= on
    yield "confirm.of", f"1 to {MAX_CONFIRM}", 1 <= confirm.of <= MAX_CONFIRM
    yield "confirm.n", "1 to confirm.of", 1 <= confirm.n <= confirm.of
    yield "cooldown_s", f"0 to {MAX_COOLDOWN_S:g}", 0 <= rule.cooldown_s <= MAX_COOLDOWN_S
    yield "notify", f"<= {MAX_TARGETS} entries", len(rule.notify or ()) <= MAX_TARGETS
    if rule.schedule is not None:
        yield from _schedule_checks(rule.schedule)


def _schedule_checks(schedule: Schedule) -> Iterator[tuple[str, str, bool]]:
    zone, windows = schedule.timezone, schedule.windows
    yield "schedule.timezone", "a name such as Europe/Berlin", _is_time_zone(zone)
    yield "schedule.windows", "at least one", len(windows) > 0
    for index, window in enumerate(windows):
        at = f"schedule.windows[{index}]"
        yield f"{at}.days", "at least one day, each once", _is_set(window.days)
        times = (window.start, window.end)
        yield f"{at}.from", "times of day without a zone", all(t.tzinfo is None for t in times)


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # not found, a directory, outside the database
        return False
    return True


def _is_set(days: tuple[str, ...]) -> bool:
    return 0 < len(days) == len({*days})
