"""Graphs are used where they are right and faster, and whatever goes wrong, steps go on."""

import logging
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch

from llava_custom import LoadOptions, load_checkpoint
from llava_custom.lean_layers import LeanLayers
from llava_custom.step_graphs import Piece, Recorder, StepGraphs, unrecorded
from llava_custom.step_proof import Recording, record_steps, tell, try_graphs
from llava_custom.step_trials import OwnKeyValue, Trial
from tests.llava_custom.conftest import CHECKPOINT
from tests.llava_custom.test_step_graphs import lean_layers, network_of

CPU = torch.device("cpu")
RIGHT = Trial(1, 1, eager_s=0.002, graph_s=0.001, error=0.0, tolerance=1e-4)


@pytest.fixture
def layers() -> LeanLayers:
    return lean_layers(network_of("qwen2"))


def timer_of(*, slow: Callable[[object], bool]) -> Callable[[torch.device, Any], float]:
    """Says that steps of the layers take 2 s, those of graphs 1 s, or 3 s where they are slow."""

    def timed(device: torch.device, step: Any) -> float:  # noqa: ANN401 - a partial
        step()
        if not isinstance(step.func, StepGraphs):
            return 2.0
        return 3.0 if slow(len(step.args[0])) else 1.0

    return timed


def tried(layers: LeanLayers, record: Recorder, slow: Callable[[Any], bool]) -> Recording:
    return try_graphs(layers, 6, CPU, lambda: record, timer_of(slow=slow))


def test_sizes_that_are_right_and_faster_are_kept(layers: LeanLayers) -> None:
    recording = tried(layers, unrecorded, lambda num_rows: num_rows == 3)
    assert recording.graphs is not None
    assert recording.problem == ""
    assert [(trial.size, trial.num_rows) for trial in recording.trials] == [
        (1, 1), (2, 2), (4, 3), (6, 5),
    ]  # fmt: skip
    sizes = [recording.graphs.size_for(num_rows) for num_rows in (1, 2, 3, 4, 5, 6)]
    assert sizes == [1, 2, None, None, 6, 6]
    assert max(trial.error for trial in recording.trials) < 1e-5


def test_graphs_that_are_never_faster_are_not_used(layers: LeanLayers) -> None:
    recording = tried(layers, unrecorded, lambda _: True)
    assert recording.graphs is None
    assert "no faster here: 1 row 3000.00 ms instead of 2000.00; 2 rows" in recording.problem


def stale(piece: Piece) -> Piece:
    """What forgets to compute."""
    return lambda: None


class Swapping:
    """Replays the pieces of a size in a wrong order."""

    def __init__(self) -> None:
        self._last: Piece = lambda: None

    def __call__(self, piece: Piece) -> Piece:
        replayed, self._last = self._last, piece
        return replayed


class Poisoning:
    """Leaves what is no number in the buffers."""

    def __call__(self, piece: Piece) -> Piece:
        def replay() -> None:
            piece()
            piece.func.__self__.hidden.fill_(torch.nan)  # type: ignore[attr-defined]

        return replay


@pytest.mark.parametrize("recorder", [lambda: stale, Swapping, Poisoning])
def test_one_wrong_output_is_enough_to_use_none(
    layers: LeanLayers, recorder: Callable[[], Recorder]
) -> None:
    recording = tried(layers, recorder(), lambda _: False)
    assert recording.graphs is None
    assert "outputs for 1 rows" in recording.problem


def test_positions_that_stay_behind_are_seen(layers: LeanLayers) -> None:
    """A recording that took the first positions for good, say."""

    def record(piece: Piece) -> Piece:
        def replay() -> None:
            buffers = piece.func.__self__  # type: ignore[attr-defined]
            buffers.positions.zero_()
            piece()

        return replay

    assert tried(layers, record, lambda _: False).graphs is None


@pytest.mark.parametrize(
    "exc",
    [
        RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore"),
        torch.OutOfMemoryError("CUDA out of memory"),
        NotImplementedError(),
    ],
)
def test_whatever_recording_raises_steps_go_on_without(
    layers: LeanLayers, exc: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    calls = 0

    def record(piece: Piece) -> Piece:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise exc
        return piece

    with caplog.at_level(logging.INFO):
        recording = tell(tried(layers, record, lambda _: False))
    (line,) = caplog.records
    assert recording.graphs is None
    assert line.levelno == logging.WARNING
    assert type(exc).__name__ in line.getMessage()
    assert "more" not in line.getMessage()


@pytest.mark.parametrize(
    ("trial", "level", "words"),
    [
        (RIGHT, logging.INFO, "replayed as CUDA graphs, which take 3 KiB: 1 row 1.00 ms instead"),
        (Trial(1, 1, 0.001, 0.002, 0.0, 1e-4), logging.INFO, "without CUDA graphs: slow"),
        (Trial(1, 1, 0.002, 0.001, 0.5, 1e-4), logging.WARNING, "without CUDA graphs: slow"),
    ],
)
def test_the_log_says_in_a_line_what_came_of_it(
    layers: LeanLayers,
    trial: Trial,
    level: int,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    is_used = trial is RIGHT
    graphs = StepGraphs(layers, 1, CPU, unrecorded) if is_used else None
    with caplog.at_level(logging.INFO):
        tell(Recording(graphs, [trial], 3072, "" if is_used else "slow"))
    (line,) = caplog.records
    assert line.levelno == level
    assert words in line.getMessage()


def test_nothing_is_recorded_without_cuda_or_where_it_is_off(layers: LeanLayers) -> None:
    assert "need a CUDA device, not cpu" in record_steps(layers, 64, CPU).problem
    assert record_steps(layers, 0, torch.device("cuda")).problem == "CUDA graphs are off"


def test_layers_that_cannot_be_recorded_are_not_tried(caplog: pytest.LogCaptureFixture) -> None:
    network, cuda = network_of("llama"), torch.device("cuda")
    projection = network.model.layers[1].self_attn.q_proj
    projection.weight = torch.nn.Parameter(
        torch.zeros(projection.weight.shape, dtype=torch.int8), requires_grad=False
    )
    with caplog.at_level(logging.INFO):
        assert "int8" in record_steps(lean_layers(network), 64, cuda).problem
        assert "no lean layers" in record_steps(None, 64, cuda).problem
    assert [line.levelno for line in caplog.records] == [logging.INFO] * 2


def test_a_model_on_a_cpu_loads_without_graphs() -> None:
    model = load_checkpoint(str(CHECKPOINT), LoadOptions(graph_rows=8))
    assert model.language.recording.graphs is None


def test_a_made_up_row_sees_every_number_of_its_own() -> None:
    query, key, value = (torch.randn(3, heads, 1, 8) for heads in (4, 2, 2))
    seen = OwnKeyValue(key, value).attend(query, 0.3)
    assert seen.shape == (3, 1, 4, 8)
    given = (query, key, value)
    for index, tensor in enumerate(given):
        for row, head, at in product(range(3), range(tensor.shape[1]), range(8)):
            changed = [one.clone() for one in given]
            changed[index][row, head, 0, at] += 0.5
            other = OwnKeyValue(*changed[1:]).attend(changed[0], 0.3)
            apart = (other != seen).flatten(1).any(dim=1)
            assert apart.tolist() == [one == row for one in range(3)]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@torch.inference_mode()
def test_a_gpu_replays_what_the_layers_give() -> None:
    cuda = torch.device("cuda")
    recording = record_steps(lean_layers(network_of("qwen2").to(cuda)), 6, cuda)
    assert [trial for trial in recording.trials if not trial.is_right] == []
    assert recording.graphs is not None
