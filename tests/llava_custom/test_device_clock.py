import time

import torch

from llava_custom.device_clock import seconds_of


def test_seconds_are_those_of_the_work() -> None:
    assert seconds_of(torch.device("cpu"), lambda: time.sleep(0.01)) >= 0.01
