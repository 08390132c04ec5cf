import logging
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from transformers.utils import logging as transformers_logging

from llava_custom.progress import LoadProgress, progress_lines


class Clock:
    """Every look at it is some seconds later."""

    def __init__(self, step_s: float) -> None:
        self._now_s, self._step_s = 0.0, step_s

    def __call__(self) -> float:
        self._now_s += self._step_s
        return self._now_s


@pytest.fixture
def network() -> nn.ParameterDict:
    """Three quarters of its bytes are in the first of two tensors."""
    with torch.device("meta"):
        return nn.ParameterDict({"a": nn.Parameter(torch.empty(3)), "b": torch.empty(1)})


def bar(names: str) -> Iterator[tuple[str, int]]:
    """What transformers draws while it loads tensors of these names."""
    items = {name: 0 for name in names}
    drawn: Iterator[tuple[str, int]] = transformers_logging.tqdm(
        items.items(), desc="Loading weights"
    )
    return drawn


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "llava_custom.progress")
    return caplog


def test_a_slow_load_says_how_many_bytes_it_has(
    network: nn.Module, lines: pytest.LogCaptureFixture
) -> None:
    with progress_lines(network, Clock(5.0)):
        assert [name for name, _ in bar("ab")] == ["a", "b"]
    assert lines.messages == [
        "weights: 75 % after 10 s",
        "weights: 100 % after 20 s",
        "weights: all of them after 25.0 s",
    ]


def test_a_quick_load_says_one_line(network: nn.Module, lines: pytest.LogCaptureFixture) -> None:
    with progress_lines(network, Clock(0.1)):
        list(bar("ab"))
    assert len(lines.messages) == 1


def test_tensors_of_other_names_count_alike(
    network: nn.Module, lines: pytest.LogCaptureFixture
) -> None:
    with progress_lines(network, Clock(5.0)):
        list(bar("xy"))
    assert lines.messages[0] == "weights: 50 % after 10 s"


def test_bars_are_transformers_own_again_afterwards(
    network: nn.Module, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyError), progress_lines(network):
        raise KeyError
    list(bar("ab"))
    assert "Loading weights" in capsys.readouterr().err


def test_the_shares_of_parts_add_up(network: nn.ParameterDict) -> None:
    heard: list[float] = []
    progress = LoadProgress(network, heard.append)
    for name in "ab":
        part = nn.ParameterDict({name: network[name]})
        with progress_lines(part, listener=progress.part(part)):
            list(bar(name))
    assert heard == [0.75, 1]
