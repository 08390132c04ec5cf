"""Rules that could never be right are refused, by field."""

from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any

import pytest

from contracts.errors import RequestError
from contracts.notify import NamedSink, NotifyTarget
from contracts.rule_checks import WindowLimits, check_rule
from contracts.rules import Confirm, DailyWindow, Rule, Schedule, Window

NOW = datetime(2026, 11, 20, tzinfo=UTC)
GOOD = Rule("r-1", "Is there fire?", "fire", NOW, NOW)
LIMITS = WindowLimits(60, 64)
NIGHT = DailyWindow(("mon",), time(22), time(6))


def test_defaults_and_bounds_pass() -> None:
    for rule in (
        GOOD,
        replace(GOOD, id="A" * 64, prompt=" " + "x" * 500, name="n" * 100),
        replace(GOOD, window=Window(0, 1), interval_s=0.2, on_threshold=0, off_threshold=0),
        replace(GOOD, window=Window(60, 64), interval_s=3600, on_threshold=1, off_threshold=1),
        replace(GOOD, confirm=Confirm(10, 10), cooldown_s=86400),
        replace(GOOD, confirm=Confirm(1, 1), cooldown_s=0),
        replace(GOOD, notify=(NotifyTarget(NamedSink("a")),) * 8),
        replace(GOOD, schedule=Schedule("Europe/Berlin", (NIGHT,))),
    ):
        check_rule(rule, LIMITS)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \t\n"}, "prompt"),
        ({"prompt": "x" * 501}, "prompt"),
        ({"id": ""}, "id"),
        ({"id": "a/b"}, "id"),
        ({"id": "a" * 65}, "id"),
        ({"id": "a\n"}, "id"),
        ({"name": "x" * 101}, "name"),
        ({"window": Window(-1, 4)}, "window.seconds"),
        ({"window": Window(60.5, 4)}, "window.seconds"),
        ({"window": Window(float("nan"), 4)}, "window.seconds"),
        ({"window": Window(2, 0)}, "window.frames"),
        ({"window": Window(2, 65)}, "window.frames"),
        ({"interval_s": 0.1}, "interval_s"),
        ({"interval_s": 3601}, "interval_s"),
        ({"on_threshold": 1.1}, "on_threshold"),
        ({"on_threshold": float("nan")}, "on_threshold"),
        ({"off_threshold": 0.7}, "off_threshold"),
        ({"off_threshold": -0.1}, "off_threshold"),
        ({"confirm": Confirm(0, 3)}, "confirm.n"),
        ({"confirm": Confirm(4, 3)}, "confirm.n"),
        ({"confirm": Confirm(1, 11)}, "confirm.of"),
        ({"cooldown_s": -1}, "cooldown_s"),
        ({"cooldown_s": 86401}, "cooldown_s"),
        ({"notify": (NotifyTarget(NamedSink("a")),) * 9}, "notify"),
        ({"schedule": Schedule("Europe/Atlantis", (NIGHT,))}, "schedule.timezone"),
        ({"schedule": Schedule("../etc/passwd", (NIGHT,))}, "schedule.timezone"),
        ({"schedule": Schedule("", (NIGHT,))}, "schedule.timezone"),
        ({"schedule": Schedule("UTC", ())}, "schedule.windows"),
        (
            {"schedule": Schedule("UTC", (NIGHT, replace(NIGHT, days=())))},
            "schedule.windows[1].days",
        ),
        (
            {"schedule": Schedule("UTC", (replace(NIGHT, days=("mon", "mon")),))},
            "schedule.windows[0].days",
        ),
        (
            {"schedule": Schedule("UTC", (replace(NIGHT, end=time(6, tzinfo=UTC)),))},
            "schedule.windows[0].from",
        ),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_rule(replace(GOOD, **fields), LIMITS)
    assert caught.value.param == param
    assert caught.value.message.startswith(f"{param}: expected ")


def test_up_to_five_problems_are_told_at_once() -> None:
    bad = replace(GOOD, id="", prompt="", name="x" * 101, interval_s=0, cooldown_s=-1)
    with pytest.raises(RequestError) as caught:
        check_rule(replace(bad, on_threshold=-1), LIMITS)
    assert caught.value.message.count("expected") == 5
    assert caught.value.param == "id"
