"""Write a checkpoint with its language model quantised, which loads as it is.

``python -m llava_custom.quantize SOURCE TARGET`` reads a checkpoint in its original layout and
writes one in the same layout and with the same names, smaller, and quick to load. ``VLM_MODEL``
may be TARGET then, and ``VLM_QUANTIZATION`` is not needed.
"""

import argparse
import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import save_torch_state_dict
from torch import Tensor, nn

from contracts.errors import WeightsError
from llava_custom.checkpoint import find_directory, read_json
from llava_custom.families import QuantisedPart, load_checkpoint, quantised_part
from llava_custom.load_options import LoadOptions
from llava_custom.prequantised import KEY, stored_scheme

logger = logging.getLogger("llava_custom.quantize")  # also when it is run

WEIGHT_SUFFIXES = (".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pth")
MAX_SHARD_SIZE = "2GB"


def quantize(source: str, target: Path, options: LoadOptions) -> None:
    """Load a checkpoint, quantised, and write it; the target is there whole or not at all.

    Args:
        source: A directory or hub id, not quantised.
        target: A directory that does not exist yet, or is empty.
        options: With a quantization.

    Raises:
        WeightsError: The source cannot be loaded or is quantised already, or the target is taken.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise WeightsError(f"{target.name} is there already, and not empty; name another target")
    directory = find_directory(source)
    part = quantised_part(directory)
    if stored_scheme(read_json(directory, f"{part.folder}config.json")):
        raise WeightsError("the source is quantised already; take the original checkpoint")
    # Never computed with before it is saved: on some processors the first forward repacks weights.
    network = part.of(load_checkpoint(str(directory), options).network)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        draft = Path(scratch) / target.name
        _copy_others(directory, draft, part.folder)
        _write_weights(network, draft / part.folder, part)
        _write_config(network, draft / part.folder / "config.json", options.dtype)
        draft.rename(target)
    logger.info("%s holds %s in %s", target, source, options.scheme)


def _copy_others(source: Path, draft: Path, folder: str) -> None:
    """Copy all but the weights that are written anew."""
    for file in _files(source):
        name = file.relative_to(source)
        is_weight = name.parent == Path(folder) and name.name.endswith(WEIGHT_SUFFIXES)
        if not is_weight:
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, draft / name)


def _files(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(directory).parts)
        if path.is_file() and not is_hidden:
            yield path


def _write_weights(network: nn.Module, folder: Path, part: QuantisedPart) -> None:
    tensors = {part.name(key): tensor for key, tensor in _own_tensors(network)}
    save_torch_state_dict(tensors, folder, max_shard_size=MAX_SHARD_SIZE, metadata={"format": "pt"})
    for file in folder.glob("*.safetensors"):
        shutil.copymode(folder / "config.json", file)  # safetensors lets only its owner read it


def _own_tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Tensors by name; of tied ones the first."""
    seen: set[int] = set()
    for key, tensor in network.state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            yield key, tensor


def _write_config(network: Any, file: Path, dtype: torch.dtype) -> None:  # noqa: ANN401
    """The original configuration, with what it takes to read the weights."""
    config = json.loads(file.read_text(encoding="utf-8"))
    quantization = json.loads(network.config.quantization_config.to_json_string(use_diff=False))
    config |= {KEY: quantization, "torch_dtype": str(dtype).removeprefix("torch.")}
    file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m llava_custom.quantize",
        description="Write a checkpoint with its language model quantised.",
    )
    parser.add_argument("source", help="directory or hub id of the original checkpoint")
    parser.add_argument("target", type=Path, help="directory to write; new or empty")
    parser.add_argument("--quantization", choices=("nf4", "int8"), default="nf4")
    parser.add_argument(
        "--no-double-quant", action="store_true", help="keep the scales of nf4 in float32"
    )
    parser.add_argument(
        "--dtype",
        choices=("bfloat16", "float16", "float32"),
        default="bfloat16",
        help="of what is not quantised",
    )
    parser.add_argument("--device", help="that quantises; CUDA if present, else the CPU")
    return parser.parse_args()


def main() -> None:
    """Do what the command line says; end with a sentence where it cannot be done."""
    arguments = _parse()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("llava_custom").setLevel(logging.INFO)
    options = LoadOptions(
        quantization=arguments.quantization,
        double_quant=not arguments.no_double_quant,
        device=arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"),
        dtype=getattr(torch, arguments.dtype),
    )
    try:
        quantize(arguments.source, arguments.target, options)
    except (WeightsError, OSError) as exc:
        sys.exit(f"quantize: {exc}")


if __name__ == "__main__":
    main()
