"""The parts of VILA as one network, and the names of its tensors in the original checkpoint."""

from typing import Any

from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, SiglipVisionConfig, SiglipVisionModel

from llava_custom.vila_config import LLM, PROJECTOR, TOWER, VilaConfig
from llava_custom.vila_projector import Projector
from llava_custom.weights import renamed

# In the checkpoint, in the network; transformers has no level ``vision_model`` any more.
PREFIXES = (
    (f"{TOWER}vision_model.", "model.vision_tower."),
    (PROJECTOR, "model.multi_modal_projector."),
    (LLM, "language_model."),
)


class VilaNetwork(nn.Module):
    """Language model, vision tower and projector.

    The last two are named as in transformers' LLaVA classes: what quantises or counts layers by
    their names is right here, too.

    Args:
        language_model: transformers' ``LlamaForCausalLM``.
        vision_tower: ``SiglipVisionModel``.
        projector: Between them.
    """

    def __init__(self, language_model: Any, vision_tower: Any, projector: Projector) -> None:  # noqa: ANN401
        super().__init__()
        self.config = language_model.config
        self.language_model = language_model
        parts = {"vision_tower": vision_tower, "multi_modal_projector": projector}
        self.model = nn.ModuleDict(parts)

    def drop_unused(self, num_tower_layers: int) -> None:
        """Free the tower's layers above those and its head: nobody reads what they compute."""
        tower: Any = self.model["vision_tower"]
        tower.encoder.layers = tower.encoder.layers[:num_tower_layers]
        del tower.head


def original_name(key: str) -> str:
    """The name in the checkpoint of a tensor of the network."""
    return renamed(key, PREFIXES)


def build_network(config: VilaConfig) -> VilaNetwork:
    """The network as it is in the checkpoint's files, with weights of no meaning."""
    return VilaNetwork(
        LlamaForCausalLM(LlamaConfig(**config.text)),
        SiglipVisionModel(SiglipVisionConfig(**config.tower)),
        build_projector(config),
    )


def build_projector(config: VilaConfig) -> Projector:
    """The projector, with weights of no meaning."""
    hidden_size = config.text["hidden_size"]
    assert isinstance(hidden_size, int)  # parse_config saw to it
    return Projector(config.tower["hidden_size"], hidden_size, config.token_order)
