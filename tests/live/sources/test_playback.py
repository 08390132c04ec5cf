"""Recordings at their own rate."""

from live.sources.playback import Playback


def test_packets_wait_for_their_time() -> None:
    playback = Playback()
    assert playback.delay_s(5.0, 100.0) == 0
    assert playback.delay_s(5.5, 100.0) == 0.5
    assert playback.delay_s(6.0, 100.9) == 100 + 1.0 - 100.9


def test_what_is_a_little_late_is_played_at_once_and_the_rest_in_time() -> None:
    playback = Playback()
    playback.delay_s(0.0, 100.0)
    assert playback.delay_s(0.1, 100.6) == 0
    assert playback.delay_s(1.0, 100.6) == 101 - 100.6


def test_after_a_long_hold_up_nothing_is_hurried() -> None:
    playback = Playback()
    playback.delay_s(0.0, 100.0)
    assert playback.delay_s(0.5, 130.0) == 0
    assert playback.delay_s(1.0, 130.0) == 0.5


def test_gaps_and_jumps_of_the_recording_are_not_waited_for() -> None:
    playback = Playback()
    playback.delay_s(0.0, 100.0)
    assert playback.delay_s(4000.0, 100.0) == 0
    assert playback.delay_s(1.0, 100.0) == 0
    assert playback.delay_s(1.5, 100.0) == 0.5


def test_without_times_nothing_waits() -> None:
    assert Playback().delay_s(None, 100.0) == 0
