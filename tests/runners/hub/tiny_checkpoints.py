"""Tiny random checkpoints, with the files and the tensor names that real ones have on the hub."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel, PreTrainedTokenizerFast

Rename = Callable[[str], str]


def write_checkpoint(
    directory: Path,
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    files: Mapping[str, Mapping[str, Any]],
    rename: Rename,
    chat_template: str | None,
) -> Path:
    """Write a checkpoint.

    Args:
        directory: Made here.
        network: A transformers model; its weights are replaced by random ones.
        tokenizer: With its special tokens.
        files: Names and content of further JSON files.
        rename: The name of a tensor in published checkpoints.
        chat_template: In Jinja.
    """
    directory.mkdir(parents=True)
    network.config.architectures = [type(network).__name__]
    network.config.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    if chat_template is not None:
        content = json.dumps({"chat_template": chat_template})
        (directory / "chat_template.json").write_text(content)
    for name, values in files.items():
        (directory / name).write_text(json.dumps(values))
    randomise(network)
    tied = {"lm_head.weight"} if network.config.tie_word_embeddings else set()
    tensors = {
        rename(name): tensor.contiguous()
        for name, tensor in network.state_dict().items()
        if name not in tied
    }
    save_file(tensors, directory / "model.safetensors", {"format": "pt"})
    return directory


def randomise(network: torch.nn.Module) -> None:
    """Weights large enough for logits that differ clearly, the same every time."""
    generator = torch.Generator().manual_seed(11)
    for name, weight in network.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        is_norm = "norm" in name and weight.ndim == 1
        scale = 0.1 if is_norm or weight.ndim == 1 else 1.2 / weight[0].numel() ** 0.5
        base = 1.0 if is_norm and name.endswith("weight") else 0.0
        weight.data = base + scale * noise
