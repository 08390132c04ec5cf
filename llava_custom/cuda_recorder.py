"""Records work on a CUDA device as a graph, which replays all of its kernels in one launch.

Knows nothing of models. A piece reads and writes tensors that stay where they are, and waits for
nothing. Whatever it makes on its way lies in one pool of memory that all graphs of a recorder
share: they are replayed one after the other, and none leaves anything there.

Source: PyTorch's notes on CUDA graphs (docs.pytorch.org, notes/cuda).
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

NUM_WARM_UPS = 2  # libraries choose their kernels and take their workspaces then


class CudaRecorder:
    """Turns pieces of work into their replays.

    Args:
        device: Where they compute.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # One stream for warm-ups and recordings: workspaces of libraries belong to streams.
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, piece: Callable[[], None]) -> Callable[[], None]:
        """Run a piece some times, record it, and give its replay.

        Raises:
            RuntimeError: It waits for the device, or does what cannot be recorded.
        """
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device):
            usual = torch.cuda.current_stream()
            self._stream.wait_stream(usual)
            with torch.cuda.stream(self._stream):
                for _ in range(NUM_WARM_UPS):
                    piece()
                with _waiting_refused():  # a failure here costs nothing, one while recording might
                    piece()
            # Other threads may go on with what they do on the device.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ):
                piece()
            usual.wait_stream(self._stream)
        return graph.replay


@contextmanager
def _waiting_refused() -> Iterator[None]:
    """Let torch raise where the host would wait for the device."""
    usual = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():  # it calls itself a prototype that does not see all
        warnings.filterwarnings("ignore", message="Synchronization debug mode")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(usual)
