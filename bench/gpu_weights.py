"""Random weights and tokenizers, written as checkpoints are: nothing of them was ever trained.

Knows how files look, not which tensors a model has.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]

STD = 0.02  # as Qwen2 and Llama are initialised
SEED = 0


def write_weights(
    folder: Path, shapes: Shapes, device: torch.device, shard_bytes: int = 4 << 30
) -> None:
    """Draw every tensor in bfloat16 on the device and write them, as shards if they are many.

    Norms are ones, everything else is drawn: kernels run faster on zeros than on numbers.
    """
    generator = torch.Generator(device).manual_seed(SEED)
    folder.mkdir(parents=True, exist_ok=True)
    shards = list(_shards(shapes, shard_bytes))
    weight_map: dict[str, str] = {}
    for index, names in enumerate(shards, 1):
        file = "model.safetensors"
        if len(shards) > 1:
            file = f"model-{index:05}-of-{len(shards):05}.safetensors"
        tensors = {name: _draw(name, shapes[name], generator).cpu() for name in names}
        save_file(tensors, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(names, file)
    if len(shards) > 1:
        total_size = sum(map(num_bytes, shapes.values()))
        index_json = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
        write_json(folder / "model.safetensors.index.json", index_json)


def num_bytes(shape: Sequence[int]) -> int:
    """Of a tensor in bfloat16."""
    return torch.Size(shape).numel() * 2


def write_json(file: Path, content: Mapping[str, object]) -> None:
    """Write a configuration."""
    file.write_text(json.dumps(content, indent=2) + "\n")


def byte_tokenizer(num_plain: int, control: Sequence[str]) -> Tokenizer:
    """A tokenizer of bytes with a vocabulary of the right size.

    Text becomes one token a byte; tokens above the bytes are words that only a model can say.

    Args:
        num_plain: Tokens of text, at least 256; control tokens follow them.
        control: In the order of their ids.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, *(f"w{token_id}" for token_id in range(len(alphabet), num_plain))]
    vocabulary = {word: token_id for token_id, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in control])
    return tokenizer


def _shards(shapes: Shapes, shard_bytes: int) -> Iterator[list[str]]:
    names: list[str] = []
    size = 0
    for name, shape in shapes.items():
        if names and size + num_bytes(shape) > shard_bytes:
            yield names
            names, size = [], 0
        names.append(name)
        size += num_bytes(shape)
    yield names


def _draw(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    device = generator.device
    if len(shape) == 1 and name.endswith(".weight"):  # a norm's
        return torch.ones(shape, dtype=torch.bfloat16, device=device)
    drawn = torch.empty(shape, dtype=torch.bfloat16, device=device)
    return drawn.normal_(0, STD, generator=generator)
