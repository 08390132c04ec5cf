from runners.pace import DeparturePace, ReadingPace


def test_the_best_pace_is_of_the_latest_prompts() -> None:
    pace = ReadingPace()
    assert (pace.best_s, pace.usual_s) == (0, 0)
    pace.count(100, 1.0)
    for _ in range(16):
        pace.count(100, 4.0)
    pace.count(100, 2.0)
    assert (pace.best_s, pace.usual_s) == (0.02, 0.04)


def test_the_wait_is_what_departures_took_lately() -> None:
    pace = DeparturePace()
    pace.begin(0.0)
    for number in range(1, 60):
        pace.leave(number * 0.5, is_last=False)
    assert pace.wait_s(20) == 10
    assert pace.wait_s(1) == 1
    assert pace.wait_s(1000) == 60


def test_idle_time_is_no_waiting_time() -> None:
    pace = DeparturePace()
    for hour in range(30):
        pace.begin(hour * 3600.0)
        pace.begin(hour * 3600.0 + 1)  # a second one comes; the clock runs already
        pace.leave(hour * 3600.0 + 2, is_last=True)
    assert 19 <= pace.wait_s(10) <= 20
