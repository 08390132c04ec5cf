"""When a schedule is in force: midnight, zones, and clocks that are put forward and back."""

from datetime import UTC, datetime, time

import pytest

from contracts.rules import DailyWindow, Schedule
from live.alerting.schedule import is_in_force

NIGHT = Schedule("Europe/Berlin", (DailyWindow(("mon", "tue"), time(22), time(6)),))
DAY = Schedule("America/New_York", (DailyWindow(("sat",), time(9), time(17, 30)),))
ALWAYS = Schedule(
    "UTC", (DailyWindow(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), time(0), time(0)),)
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "moment", "expected"),
    [
        # 16 November 2026 is a Monday; Berlin is an hour ahead in winter.
        (NIGHT, "2026-11-16T20:59:59", False),
        (NIGHT, "2026-11-16T21:00:00", True),
        (NIGHT, "2026-11-17T04:59:59", True),
        (NIGHT, "2026-11-17T05:00:00", False),
        (NIGHT, "2026-11-17T21:00:00", True),
        (NIGHT, "2026-11-18T04:00:00", True),  # Wednesday morning belongs to Tuesday
        (NIGHT, "2026-11-18T21:00:00", False),
        (NIGHT, "2026-11-16T04:00:00", False),  # Monday morning belongs to Sunday
        (DAY, "2026-11-21T13:59:59", False),
        (DAY, "2026-11-21T14:00:00", True),
        (DAY, "2026-11-21T22:29:59", True),
        (DAY, "2026-11-21T22:30:00", False),
        (DAY, "2026-11-22T15:00:00", False),
        (ALWAYS, "2026-11-21T00:00:00", True),
        (ALWAYS, "2026-11-21T23:59:59", True),
    ],
)
def test_windows_of_local_time(schedule: Schedule, moment: str, expected: bool) -> None:
    assert is_in_force(schedule, utc(moment)) == expected


@pytest.mark.parametrize(
    ("start", "end", "moment", "expected"),
    [
        # Berlin, 29 March 2026: 02:00 becomes 03:00 at 01:00 UTC.
        (time(1, 30), time(3, 30), "2026-03-29T00:30:00", True),  # 01:30
        (time(1, 30), time(3, 30), "2026-03-29T01:00:00", True),  # 03:00
        (time(1, 30), time(3, 30), "2026-03-29T01:30:00", False),  # 03:30
        (time(2, 0), time(3, 0), "2026-03-29T00:59:59", False),  # an hour that does not come
        (time(2, 0), time(3, 0), "2026-03-29T01:00:00", False),
        # 25 October 2026: 03:00 becomes 02:00 at 01:00 UTC.
        (time(2, 0), time(3, 0), "2026-10-25T00:30:00", True),  # 02:30, the first
        (time(2, 0), time(3, 0), "2026-10-25T01:30:00", True),  # 02:30, the second
        (time(2, 0), time(3, 0), "2026-10-25T02:00:00", False),
        (time(22, 0), time(2, 30), "2026-10-25T01:29:00", True),
        (time(22, 0), time(2, 30), "2026-10-25T01:31:00", False),
    ],
)
def test_the_day_the_clock_changes(start: time, end: time, moment: str, expected: bool) -> None:
    schedule = Schedule("Europe/Berlin", (DailyWindow(("sat", "sun"), start, end),))
    assert is_in_force(schedule, utc(moment)) == expected


def test_without_a_schedule_it_is_always() -> None:
    assert is_in_force(None, utc("2026-11-16T04:00:00"))


def test_one_of_several_windows_is_enough() -> None:
    windows = (DailyWindow(("mon",), time(8), time(9)), DailyWindow(("mon",), time(12), time(13)))
    schedule = Schedule("UTC", windows)
    hours = [hour for hour in range(24) if is_in_force(schedule, utc(f"2026-11-16T{hour:02}:30"))]
    assert hours == [8, 12]
