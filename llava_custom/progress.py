"""How far the loading of weights is, as lines of the log and as a number.

transformers draws a bar for terminals; in the log of a service it is one endless line. This counts
bytes instead of tensors, and says something every few seconds.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import nn
from transformers.utils.logging import set_tqdm_hook

logger = logging.getLogger(__name__)

LINE_EVERY_S = 5.0
WEIGHTS = "Loading weights"  # what transformers calls its bar
T = TypeVar("T")
Clock = Callable[[], float]
Listener = Callable[[float], None]  # hears a share of the whole, 0 to 1


def unheard(share: float) -> None:
    """Nothing, for whoever does not want to know."""


class LoadProgress:
    """How much of a network is loaded, whose parts may be loaded one after the other.

    Args:
        whole: The network, or its likeness on the meta device.
        listener: Told whenever more of it is there, on the thread that loads.
    """

    def __init__(self, whole: nn.Module, listener: Listener) -> None:
        self._num_bytes = max(1, sum(_sizes(whole).values()))
        self._listener = listener
        self._share = 0.0

    def part(self, part: nn.Module) -> Listener:
        """What has to be told how much of the next part is loaded."""
        before, its_share = self._share, sum(_sizes(part).values()) / self._num_bytes

        def tell(share: float) -> None:
            self._share = min(1.0, before + its_share * share)
            self._listener(self._share)

        return tell


@contextmanager
def progress_lines(
    network: nn.Module, clock: Clock = time.monotonic, listener: Listener = unheard
) -> Iterator[None]:
    """Log lines in the place of transformers' bars, while in the context.

    Not for two threads at once: transformers has one hook for the whole process.

    Args:
        network: That is being loaded, or its likeness on the meta device.
        clock: Seconds that go on.
        listener: Told after each tensor.
    """
    sizes = _sizes(network)

    def lines_or_bar(bar: Callable[..., Any], args: Any, options: Any) -> Any:  # noqa: ANN401
        if options.get("desc") != WEIGHTS:
            return bar(*args, **options)
        return _with_lines(args[0], sizes, clock, listener)

    previous = set_tqdm_hook(lines_or_bar)
    try:
        yield
    finally:
        set_tqdm_hook(previous)


def _sizes(network: nn.Module) -> dict[str, int]:
    return {name: tensor.nbytes for name, tensor in network.state_dict().items()}


def _with_lines(
    items: Iterable[tuple[str, T]], sizes: Mapping[str, int], clock: Clock, listener: Listener
) -> Iterator[tuple[str, T]]:
    """The named items, with a line every few seconds and one at the end."""
    weighed = [(name, item, sizes.get(name, 1)) for name, item in items]
    total, done = sum(size for _, _, size in weighed), 0
    began_s = said_s = clock()
    for name, item, size in weighed:
        yield name, item
        done += size
        listener(done / total)
        if clock() - said_s >= LINE_EVERY_S:
            said_s = clock()
            logger.info("weights: %d %% after %.0f s", 100 * done // total, said_s - began_s)
    logger.info("weights: all of them after %.1f s", clock() - began_s)
