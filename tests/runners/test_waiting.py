"""Who may wait: as many as there is room for, and nobody in vain."""

import math

import pytest

from contracts.errors import QueueFull
from contracts.generation import GenerationRequest, SamplingParams
from llava_custom import Prompt
from runners.jobs import Job, JudgeJob
from runners.pace import LEAST_DEPARTURES
from runners.schedule import SHORT_TOKENS
from runners.waiting import WaitingJobs

SHORT, LONG = Prompt(((7,) * 10,)), Prompt(((7,) * (SHORT_TOKENS + 1),))


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def job(deadline_s: float, prompt: Prompt = SHORT) -> Job:
    request = GenerationRequest("test", (), SamplingParams(), deadline_s)
    return Job(request, prompt, 32, lambda _: None)


def one_a_second(num_waiting: int) -> WaitingJobs:
    """A queue before an engine from which somebody left every second, and where so many wait."""
    clock = Clock()
    waiting = WaitingJobs(1000, clock)
    for _ in range(LEAST_DEPARTURES + num_waiting):
        waiting.add(job(math.inf, LONG))
    for begun in waiting.jobs[:LEAST_DEPARTURES]:
        waiting.take(begun)
        clock.now_s += 1
        waiting.leave()
    return waiting


def test_what_would_be_given_up_in_the_middle_is_refused() -> None:
    waiting = one_a_second(num_waiting=9)
    now_s = float(LEAST_DEPARTURES)
    waiting.add(job(now_s + 10.5, LONG))  # the tenth
    with pytest.raises(QueueFull, match="would take 11 s and it may take 10") as caught:
        waiting.add(job(now_s + 10.5, LONG))
    assert caught.value.retry_after_s == 10


def test_those_that_come_later_do_not_count() -> None:
    waiting = one_a_second(num_waiting=9)
    waiting.add(job(LEAST_DEPARTURES + 1.0))
    with pytest.raises(QueueFull):  # behind the one before
        waiting.add(job(LEAST_DEPARTURES + 1.0))


def test_those_that_are_begun_count() -> None:
    waiting = one_a_second(num_waiting=9)
    for begun in waiting.jobs[:8]:
        waiting.take(begun)
    with pytest.raises(QueueFull, match="would take 10 s"):
        waiting.add(job(LEAST_DEPARTURES + 9.5, LONG))


def test_alerts_and_those_before_whom_nobody_waits_may_always_try() -> None:
    waiting = one_a_second(num_waiting=9)
    waiting.add(JudgeJob((SHORT,), 0.1, lambda _: None, LEAST_DEPARTURES + 0.1))
    alone = one_a_second(num_waiting=1)
    for begun in alone.jobs:
        alone.take(begun)
    alone.add(job(LEAST_DEPARTURES + 0.1))


def test_without_a_pace_everybody_may_try() -> None:
    waiting = WaitingJobs(1000, Clock())
    for _ in range(500):
        waiting.add(job(0.1))
