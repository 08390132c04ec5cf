"""Telling a capture to stop."""

from live.sources.stop_signal import StopSignal


def test_whoever_registered_is_woken_once() -> None:
    stop = StopSignal()
    woken: list[str] = []
    stop.on_set(lambda: woken.append("one"))
    take_back = stop.on_set(lambda: woken.append("other"))
    take_back()
    assert not stop.is_set()
    stop.set()
    stop.set()
    assert stop.is_set()
    assert woken == ["one"]


def test_whoever_comes_too_late_is_woken_at_once() -> None:
    stop = StopSignal()
    stop.set()
    woken: list[str] = []
    stop.on_set(lambda: woken.append("late"))()
    assert woken == ["late"]


def test_waiting_ends_with_it() -> None:
    stop = StopSignal()
    assert not stop.wait(0)
    stop.set()
    assert stop.wait(60)
