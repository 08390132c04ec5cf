"""Around the loading of weights: what they need, how far it is, what failed, what was loaded.

Knows nothing of checkpoints: the families read those.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from contracts.errors import WeightsError
from llava_custom.device_memory import allocated_bytes, free_bytes, is_out_of_memory
from llava_custom.load_options import LoadOptions
from llava_custom.load_report import LoadReport, need_line, shortage_line
from llava_custom.memory import MemoryNeed, measured_bytes
from llava_custom.placement import places
from llava_custom.progress import progress_lines

logger = logging.getLogger(__name__)

OFFLOADED = "Some modules are dispatched on the CPU or the disk"  # transformers, of bitsandbytes
NOT_CONVERTED = "issues during automatic conversion of the weights"


def announce(need: MemoryNeed, others: Mapping[str, MemoryNeed], options: LoadOptions) -> None:
    """Log what the weights need, and what would fit where they do not.

    Args:
        need: As they were asked for.
        others: What else they could be, by the setting that makes it so.
        options: Where they go.
    """
    logger.info("%s", need_line(need))
    room = sum(free_bytes(device) for device in _devices(options))
    shortage = shortage_line(need, room, _place(options), others)
    if shortage:
        logger.warning("%s", shortage)


@contextmanager
def loading(bare: nn.Module) -> Iterator[None]:
    """Log progress while ``from_pretrained`` loads a network, and say in a sentence what fails.

    Args:
        bare: Its likeness on the meta device.

    Raises:
        WeightsError: The weights do not fit, or cannot be converted.
    """
    with warnings.catch_warnings(), progress_lines(bare):
        # It means a parameter that is no module's, image_newline, and places it all the same.
        warnings.filterwarnings("ignore", message="The following device_map keys do not match")
        try:
            yield
        except (RuntimeError, ValueError, MemoryError) as exc:
            raise _translated(exc) from exc


def report_load(
    network: nn.Module,
    need: MemoryNeed,
    options: LoadOptions,
    architecture: str,
    attention: str,
) -> LoadReport:
    """What was loaded, with what it takes; on a GPU that is what torch holds there by now."""
    on_gpu = [device for device in _devices(options) if device.type == "cuda"]
    measured = sum(map(allocated_bytes, on_gpu)) if on_gpu else measured_bytes(network)
    return LoadReport(
        architecture=architecture,
        need=need,
        attention=attention,
        places=places(network),
        measured_bytes=measured,
        how_measured="allocated on the GPU" if on_gpu else "summed after loading",
    )


def _translated(exc: Exception) -> Exception:
    if is_out_of_memory(exc):
        return WeightsError(
            "there is not enough memory to load the weights; the log says above what they need "
            "and what would fit"
        )
    if OFFLOADED in str(exc):
        return WeightsError(
            "quantised weights cannot wait in the host's memory or on disk, and the GPUs do not "
            "hold them all; use a smaller model, or none as quantization"
        )
    if NOT_CONVERTED in str(exc):
        return WeightsError("the weights cannot be quantised; transformers' reasons are in the log")
    return exc


def _devices(options: LoadOptions) -> list[torch.device]:
    if options.device_map == "auto" and torch.cuda.is_available():
        return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    return [torch.device(options.device)]


def _place(options: LoadOptions) -> str:
    is_spread = options.device_map == "auto" and options.device != "cpu"
    return "all GPUs together" if is_spread else options.device
