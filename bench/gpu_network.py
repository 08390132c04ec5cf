"""What a loaded model reads and computes at least, counted from its tensors.

The one place that reaches into a model family: the families hand out tokens, not networks.
"""

from dataclasses import dataclass, field
from typing import Any

from torch import nn
from transformers import GenerationMixin, SiglipVisionModel

from llava_custom import VisionLanguageModel
from llava_custom.memory import measured_bytes


@dataclass(frozen=True, slots=True)
class AttentionSizes:
    """How many layers of attention, and how wide the queries of all heads are together."""

    num_layers: int
    width: int


@dataclass(frozen=True, slots=True)
class Network:
    """A model's network in parts.

    Attributes:
        generator: Has transformers' ``generate``.
        weight_bytes: Of all weights as stored, with scales of quantised ones, and of buffers.
        step_bytes: Of the weights that a decode step reads: layers, norm and head. Of the
            embeddings it reads one row a sequence, which is left out.
        kv_bytes_per_token: Of keys and values.
        text_weights: Numbers in the layers' matrices.
        tower_weights: Likewise of the vision tower's layers.
        num_patches: Of one frame, in the tower.
    """

    generator: Any = field(repr=False)  # transformers is untyped here
    weight_bytes: int
    step_bytes: int
    kv_bytes_per_token: int
    text_weights: int
    tower_weights: int
    num_patches: int
    text: AttentionSizes
    tower: AttentionSizes

    def read_bytes(self, batch_size: int, num_tokens: int) -> int:
        """What one decode step reads: the weights once, keys and values of each sequence."""
        return self.step_bytes + batch_size * num_tokens * self.kv_bytes_per_token

    def first_token_operations(self, num_frames: int, num_tokens: int) -> int:
        """Two for each weight and position, and the products of attention, half of them masked."""
        num_seen = num_frames * self.num_patches
        tower = 2 * self.tower_weights + 4 * self.num_patches * self.tower.width * (
            self.tower.num_layers
        )
        text = 2 * self.text_weights + 2 * num_tokens * self.text.width * self.text.num_layers
        return num_seen * tower + num_tokens * text


def network_of(model: VisionLanguageModel) -> Network:
    """Count a loaded model of any family."""
    decoder, head = model.language._decoder, model.language._head
    tower = _first(model.network, SiglipVisionModel)
    step_parts = (decoder.layers, decoder.norm, head)
    return Network(
        generator=_first(model.network, GenerationMixin),
        weight_bytes=measured_bytes(model.network),
        step_bytes=sum(map(measured_bytes, step_parts)),
        kv_bytes_per_token=model.kv_bytes_per_token,
        text_weights=_num_weights(decoder.layers),
        tower_weights=_num_weights(tower.encoder),
        num_patches=tower.embeddings.position_embedding.num_embeddings,
        text=AttentionSizes(len(decoder.layers), decoder.config.hidden_size),
        tower=AttentionSizes(len(tower.encoder.layers), tower.config.hidden_size),
    )


def _first(network: nn.Module, kind: type) -> Any:  # noqa: ANN401 - transformers is untyped here
    """The outermost module of a kind."""
    return next(module for module in network.modules() if isinstance(module, kind))


def _num_weights(layers: nn.Module) -> int:
    linear = (module for module in layers.modules() if isinstance(module, nn.Linear))
    return sum(module.in_features * module.out_features for module in linear)
