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
        pace.leave(number * 0.5, num_waiting=3)
    assert pace.wait_s(20) == 10
    assert pace.wait_s(1) == 1
    assert pace.wait_s(1000) == 60
    assert pace.until_s(20) == 10


def test_departures_count_where_others_wait() -> None:
    pace = DeparturePace()
    pace.begin(0.0)
    for number in range(1, 60):
        pace.leave(number * 20.0, num_waiting=0)
    assert pace.until_s(20) == 0
    assert pace.wait_s(20) == 20  # a guess


def test_idle_time_is_no_waiting_time() -> None:
    pace = DeparturePace()
    for hour in range(40):
        pace.begin(hour * 3600.0)
        pace.begin(hour * 3600.0 + 1)  # a second one comes; the clock runs already
        pace.leave(hour * 3600.0 + 2, num_waiting=1)
        pace.rest()
    assert pace.wait_s(10) == 20
    assert pace.until_s(10) == 0  # that was a lighter time, or a heavier one
