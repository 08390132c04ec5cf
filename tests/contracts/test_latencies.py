"""Durations in buckets."""

from contracts.latencies import Latencies


def test_a_bucket_holds_all_that_took_no_longer_than_its_bound() -> None:
    latencies = Latencies((1.0, 2.0))
    for seconds in (0.5, 1.0, 1.5, 3.0):
        latencies.count(seconds)
    assert latencies.histogram.counts == (2, 3, 4)
    assert latencies.histogram.sum_s == 6


def test_a_clock_that_was_put_back_makes_no_negative_duration() -> None:
    latencies = Latencies((1.0,))
    latencies.count(-5)
    assert latencies.histogram.sum_s == 0
    assert latencies.histogram.counts == (1, 1)
