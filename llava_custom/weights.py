"""Tensors of the checkpoint against tensors of the network: names, and shapes before loading.

``from_pretrained`` leaves random weights where a name does not match, and takes any shape for a
layer that it quantises; so every header is compared first, and what was loaded is checked again.
"""

import re
from collections.abc import Iterable, Mapping

import torch
from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration

from contracts.errors import WeightsError
from llava_custom.checkpoint import TOWER_PREFIX, Shapes

# In the checkpoint, in the network; model.image_newline and lm_head.weight keep their names.
PREFIXES = (
    (TOWER_PREFIX, "model.vision_tower."),
    ("model.mm_projector.0.", "model.multi_modal_projector.linear_1."),
    ("model.mm_projector.2.", "model.multi_modal_projector.linear_2."),
    ("model.embed_tokens.", "model.language_model.embed_tokens."),
    ("model.layers.", "model.language_model.layers."),
    ("model.norm.", "model.language_model.norm."),
)
KEY_MAPPING = {f"^{re.escape(theirs)}": ours for theirs, ours in PREFIXES}
MAX_LISTED = 8


def check_shapes(shapes: Shapes, config: LlavaOnevisionConfig) -> None:
    """Refuse weights that are not exactly the network's.

    Args:
        shapes: Of every tensor, by its name in the checkpoint.
        config: Of the network.

    Raises:
        WeightsError: Names tensors too many, too few or of a wrong shape.
    """
    with torch.device("meta"):
        network = LlavaOnevisionForConditionalGeneration(config)
    expected = {original_name(k): tuple(t.shape) for k, t in network.state_dict().items()}
    optional = {"lm_head.weight"} if config.tie_word_embeddings else set()
    wrong = [
        f"{name} {shape} instead of {expected[name]}"
        for name, shape in shapes.items()
        if shape != expected.get(name, shape)
    ]
    _refuse(expected.keys() - shapes.keys() - optional, shapes.keys() - expected.keys(), wrong)


def check_loaded(loaded: Mapping[str, Iterable[str]]) -> None:
    """Refuse what ``from_pretrained`` reports as not loaded.

    Raises:
        WeightsError: Names the tensors.
    """
    missing, unexpected = loaded["missing_keys"], loaded["unexpected_keys"]
    _refuse(map(original_name, missing), map(original_name, unexpected), ())


def original_name(key: str) -> str:
    """The name in the checkpoint of a tensor of the network."""
    for theirs, ours in PREFIXES:
        if key.startswith(ours):
            return theirs + key.removeprefix(ours)
    return key


def _refuse(missing: Iterable[str], unexpected: Iterable[str], wrong: Iterable[str]) -> None:
    problems = {
        "missing": sorted(missing),
        "unexpected": sorted(unexpected),
        "of a wrong shape": sorted(wrong),
    }
    listed = [f"{what}: {_listed(names)}" for what, names in problems.items() if names]
    if listed:
        raise WeightsError(f"tensors do not match the architecture; {'; '.join(listed)}")


def _listed(names: list[str]) -> str:
    rest = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")
