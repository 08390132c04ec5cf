"""In which order torch is asked to record; what a GPU makes of it only a GPU tells."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch

from llava_custom.cuda_recorder import NUM_WARM_UPS, CudaRecorder

CUDA = torch.device("cuda")


class Driver:
    """What of ``torch.cuda`` is needed; notes what happens while what is on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.modes = ["default"]
        self.num_pools = 0
        replaced: dict[str, Callable[..., object]] = {
            "Stream": lambda device: Stream("side", self.log),
            "current_stream": lambda: Stream("usual", self.log),
            "device": nullcontext,
            "stream": nullcontext,
            "graph_pool_handle": self.new_pool,
            "CUDAGraph": lambda: Graph(self.log),
            "graph": self.recording,
            "get_sync_debug_mode": lambda: self.modes[-1],
            "set_sync_debug_mode": self.modes.append,
        }
        for name, stand_in in replaced.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)

    def new_pool(self) -> int:
        self.num_pools += 1
        return self.num_pools

    @contextmanager
    def recording(
        self, graph: "Graph", *, pool: int, stream: "Stream", capture_error_mode: str
    ) -> Iterator[None]:
        self.log.append(f"record on {stream.name} in pool {pool}, {capture_error_mode}")
        yield
        self.log.append("recorded")

    def piece(self) -> None:
        self.log.append(f"piece, {self.modes[-1]}")


class Stream:
    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self._log = name, log

    def wait_stream(self, other: "Stream") -> None:
        self._log.append(f"{self.name} waits for {other.name}")


class Graph:
    def __init__(self, log: list[str]) -> None:
        self._log = log

    def replay(self) -> None:
        self._log.append("replay")


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(monkeypatch)


def test_a_piece_is_warmed_up_then_recorded_then_replayed(driver: Driver) -> None:
    replay = CudaRecorder(CUDA)(driver.piece)
    replay()
    assert driver.log == [
        "side waits for usual",
        *["piece, default"] * NUM_WARM_UPS,
        "piece, error",
        "record on side in pool 1, thread_local",
        "piece, default",
        "recorded",
        "usual waits for side",
        "replay",
    ]


def test_all_pieces_share_a_pool(driver: Driver) -> None:
    recorder = CudaRecorder(CUDA)
    for _ in range(3):
        recorder(driver.piece)
    assert sum("in pool 1" in line for line in driver.log) == 3


def test_a_piece_that_waits_for_the_device_is_not_recorded(driver: Driver) -> None:
    def waiting() -> None:
        driver.piece()
        if driver.modes[-1] == "error":
            raise RuntimeError("called a synchronizing CUDA operation")

    with pytest.raises(RuntimeError, match="synchronizing"):
        CudaRecorder(CUDA)(waiting)
    assert not any(line.startswith("record") for line in driver.log)
    assert driver.modes[-1] == "default"
