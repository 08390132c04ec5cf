"""From a checkpoint's weights to a network: what they need, where they go, what came of it.

Knows nothing of files and names: the families read checkpoints.
"""

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from contracts.errors import WeightsError
from llava_custom.device_memory import allocated_bytes, free_bytes, is_out_of_memory
from llava_custom.load_options import LoadOptions, attention_kernel
from llava_custom.load_report import LoadReport, need_line, shortage_line
from llava_custom.memory import MemoryNeed, count_memory, measured_bytes, other_needs
from llava_custom.packed_linear import pack_linears
from llava_custom.placement import placement, places
from llava_custom.prequantised import settle_dtype, settled_scheme
from llava_custom.progress import LoadProgress, progress_lines
from llava_custom.quantization import KEPT_MODULES, Scheme, quantization_config

logger = logging.getLogger(__name__)

OFFLOADED = "Some modules are dispatched on the CPU or the disk"  # transformers, of bitsandbytes
NOT_CONVERTED = "issues during automatic conversion of the weights"


@dataclass(frozen=True, slots=True)
class WeightPlan:
    """How the weights of a checkpoint will be loaded.

    Attributes:
        options: As they were given.
        need: What the weights will take.
        others: What they would take otherwise, by the setting that makes it so.
        attention: Transformers' name of the kernel.
        quantization: bitsandbytes' settings, or ``None``.
        is_stored: Whether the checkpoint's weights are quantised already.
        progress: How much of them is loaded.
    """

    options: LoadOptions
    need: MemoryNeed
    others: Mapping[str, MemoryNeed]
    attention: str
    quantization: Any
    is_stored: bool
    progress: LoadProgress

    def config(self, config: Any) -> Any:  # noqa: ANN401 - transformers is untyped here
        """A network's configuration as ``from_pretrained`` needs it."""
        if not self.is_stored:
            return config
        changed = copy.deepcopy(config)
        changed.quantization_config = self.quantization.to_dict()
        return changed

    def arguments(self, *, is_quantised: bool = True) -> dict[str, Any]:
        """What ``from_pretrained`` is told.

        Args:
            is_quantised: Whether it loads the part of a network that may be.
        """
        is_now = is_quantised and not self.is_stored
        return {
            **placement(self.options),
            "dtype": self.options.dtype,
            "attn_implementation": self.attention,
            "quantization_config": self.quantization if is_now else None,
            "output_loading_info": True,
        }

    def finish(self, network: nn.Module, architecture: str) -> LoadReport:
        """Settle what transformers leaves open, and say what was loaded."""
        if self.is_stored:
            settle_dtype(network, self.options.dtype)
        network.eval()
        measured, how = _measured(network, self.options)
        if self.options.is_packed and self.options.device == "cpu":
            pack_linears(network)
        return LoadReport(
            architecture=architecture,
            need=self.need,
            attention=self.attention,
            places=places(network),
            measured_bytes=measured,
            how_measured=how,
        )


def plan_weights(
    bare: nn.Module,
    options: LoadOptions,
    *,
    stored: Scheme | None,
    text: Mapping[str, object],
    kept_modules: Sequence[str] = KEPT_MODULES,
) -> WeightPlan:
    """Decide how weights are loaded.

    Args:
        bare: The network's likeness on the meta device.
        options: As they were given.
        stored: How the checkpoint's weights are quantised already.
        text: Sizes of the language model, as its transformers configuration names them.
        kept_modules: Parts of the network that are not quantised.

    Raises:
        WeightsError: The options contradict the checkpoint, each other or this machine.
    """
    scheme = settled_scheme(stored, options.scheme)
    return WeightPlan(
        options=options,
        need=count_memory(bare, scheme, options.dtype, kept_modules),
        others={} if stored else other_needs(bare, scheme, options.dtype, kept_modules),
        attention=attention_kernel(options),
        quantization=quantization_config(scheme, options.device, text, kept_modules),
        is_stored=stored is not None,
        progress=LoadProgress(bare, options.on_progress),
    )


def announce(plan: WeightPlan) -> None:
    """Log what the weights need, and what would fit where they do not."""
    logger.info("%s", need_line(plan.need))
    room = sum(free_bytes(device) for device in _devices(plan.options))
    shortage = shortage_line(plan.need, room, _place(plan.options), plan.others)
    if shortage:
        logger.warning("%s", shortage)


@contextmanager
def loading(bare: nn.Module, progress: LoadProgress) -> Iterator[None]:
    """Tell of progress while ``from_pretrained`` loads, and say in a sentence what fails.

    Args:
        bare: The likeness on the meta device of the network, or of the next part of it.
        progress: Of the whole.

    Raises:
        WeightsError: The weights do not fit, or cannot be converted.
    """
    listener = progress.part(bare)
    with warnings.catch_warnings(), progress_lines(bare, listener=listener):
        # It means a parameter that is no module's, image_newline, and places it all the same.
        warnings.filterwarnings("ignore", message="The following device_map keys do not match")
        try:
            yield
        except (RuntimeError, ValueError, MemoryError) as exc:
            raise _translated(exc) from exc


def _measured(network: nn.Module, options: LoadOptions) -> tuple[int, str]:
    """What loaded weights take, and how that was found out; torch counts all it has on a GPU."""
    on_gpu = [device for device in _devices(options) if device.type == "cuda"]
    if on_gpu:
        return sum(map(allocated_bytes, on_gpu)), "allocated on the GPU"
    return measured_bytes(network), "summed after loading"


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
