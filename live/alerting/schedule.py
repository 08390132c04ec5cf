"""When a rule is in force: windows of local time, past midnight and over changes of the clock.

Pure. A window belongs to the day it starts on. It is compared in local wall time, so where the
clock is put back, an hour that comes twice counts twice, and one that is left out does not count.
"""

from datetime import datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

from contracts.rules import DailyWindow, Schedule, Weekday

WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)


def is_in_force(schedule: Schedule | None, at: datetime) -> bool:
    """Whether a schedule covers an aware moment; no schedule covers all.

    A window holds its start, not its end.
    """
    if schedule is None:
        return True
    local = at.astimezone(ZoneInfo(schedule.timezone))
    return any(_holds(window, local) for window in schedule.windows)


def _holds(window: DailyWindow, local: datetime) -> bool:
    time = local.time()
    if window.start < window.end:
        return window.start <= time < window.end and _weekday(local) in window.days
    began_today = time >= window.start and _weekday(local) in window.days
    began_yesterday = time < window.end and _weekday(local - timedelta(days=1)) in window.days
    return began_today or began_yesterday


def _weekday(local: datetime) -> Weekday:
    return WEEKDAYS[local.weekday()]
