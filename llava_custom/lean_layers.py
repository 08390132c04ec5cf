"""A decode step through layers of the Llama kind, with as few operations as it takes.

transformers' layers are general: masks, hooks and keyword arguments cost a small model more than
its products do. These read the same weights, one token of each row. Outputs equal transformers'
within rounding. Letters: ``B`` rows, ``D`` hidden size, ``H`` heads, ``W`` width of a head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor
from torch.nn.functional import rms_norm, silu
from transformers.models.llama.modeling_llama import LlamaDecoderLayer
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer

KINDS = (LlamaDecoderLayer, Qwen2DecoderLayer)

Linear = Callable[[Tensor], Tensor]


class Written(Protocol):
    """A layer whose new tokens' keys and values are written."""

    def attend(self, query: Tensor, scaling: float | None) -> Tensor:
        """What each row's query sees: (B, H, 1, W) -> (B, 1, H, W)."""
        ...


class TokenStep(Protocol):
    """One token of every row: a ``RowStep``."""

    def update(self, keys: Tensor, values: Tensor, layer_idx: int) -> tuple[Written, None]:
        """Write a layer's keys and values, (B, heads, 1, W); those given are kept by nobody."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """A root-mean-square norm: its weight (D,), and what is added before the root."""

    weight: Tensor
    epsilon: float

    def __call__(self, hidden: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        return rms_norm(hidden, self.weight.shape, self.weight, self.epsilon)


@dataclass(frozen=True, slots=True, eq=False)
class Rotation:
    """Where the tokens stand, for all layers: both (B, 1, W), the sine's first half negative."""

    cosine: Tensor
    sine: Tensor

    @classmethod
    def of(cls, cosine: Tensor, sine: Tensor) -> Self:
        """From what transformers' rotary embedding gives, (B, 1, W) each."""
        sine = sine.clone()
        sine[..., : sine.shape[-1] // 2].neg_()
        return cls(cosine, sine)

    def __call__(self, heads: Tensor) -> Tensor:
        """Turn queries or keys, (B, H, W)."""
        swapped = heads.roll(heads.shape[-1] // 2, -1)
        return torch.addcmul(heads * self.cosine, swapped, self.sine)

    def __getitem__(self, indices: Tensor) -> Self:
        """Of some tokens."""
        return type(self)(self.cosine[indices], self.sine[indices])


@dataclass(frozen=True, slots=True, eq=False)
class LeanLayer:
    """One layer's parts, as transformers loaded them."""

    before_attention: Norm
    query: Linear
    key: Linear
    value: Linear
    output: Linear
    before_mlp: Norm
    gate: Linear
    up: Linear
    down: Linear
    index: int
    head_width: int
    scaling: float

    @classmethod
    def of(cls, layer: Any) -> Self:  # noqa: ANN401 - transformers is untyped
        """The parts of a layer."""
        attention, mlp = layer.self_attn, layer.mlp
        return cls(
            _norm(layer.input_layernorm),
            attention.q_proj,
            attention.k_proj,
            attention.v_proj,
            attention.o_proj,
            _norm(layer.post_attention_layernorm),
            mlp.gate_proj,
            mlp.up_proj,
            mlp.down_proj,
            attention.layer_idx,
            attention.head_dim,
            attention.scaling,
        )

    def __call__(self, hidden: Tensor, rotation: Rotation, step: TokenStep) -> Tensor:
        """(B, D) -> (B, D); writes the token's keys and values."""
        query, key, value = self.project(hidden, rotation)
        written, _ = step.update(key[:, :, None], value[:, :, None], self.index)
        return self.finish(hidden, written.attend(query[:, :, None], self.scaling))

    def project(self, hidden: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of (B, D); each (B, H, W)."""
        normed = self.before_attention(hidden)
        return self.queries(normed, rotation), *self.keys_and_values(normed, rotation)

    def queries(self, normed: Tensor, rotation: Rotation) -> Tensor:
        """(B, H, W)."""
        return rotation(self.query(normed).view(len(normed), -1, self.head_width))

    def keys_and_values(self, normed: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor]:
        """Both (B, heads, W)."""
        shape = (len(normed), -1, self.head_width)
        return rotation(self.key(normed).view(shape)), self.value(normed).view(shape)

    def finish(self, hidden: Tensor, seen: Tensor) -> Tensor:
        """What comes out for (B, D), from what attention saw: B rows of all heads."""
        hidden = hidden + self.output(seen.reshape(len(hidden), -1))
        normed = self.before_mlp(hidden)
        return hidden + self.down(silu(self.gate(normed)).mul_(self.up(normed)))


class LeanLayers:
    """All layers of a decoder and its last norm.

    Attributes:
        layers: In order.
        norm: Behind the last one.
        num_embeddings: Tokens that there are.
    """

    def __init__(self, decoder: Any) -> None:  # noqa: ANN401 - transformers is untyped
        self.layers: Sequence[LeanLayer] = [LeanLayer.of(layer) for layer in decoder.layers]
        self.norm = _norm(decoder.norm)
        self.num_embeddings: int = decoder.embed_tokens.weight.shape[0]
        self._embed = decoder.embed_tokens
        self._rotary = decoder.rotary_emb

    @classmethod
    def of(cls, decoder: Any) -> Self | None:  # noqa: ANN401
        """The layers, unless they are of another kind or spread over devices."""
        is_known = all(type(layer) in KINDS for layer in decoder.layers)
        is_silu = getattr(decoder.config, "hidden_act", "") == "silu"
        is_whole = not hasattr(decoder, "_hf_hook") and not hasattr(decoder.norm, "_hf_hook")
        return cls(decoder) if is_known and is_silu and is_whole else None

    def __call__(self, token_ids: Tensor, positions: Tensor, step: TokenStep) -> Tensor:
        """Read one token (B,), at its position (B,), of each row; (B, D)."""
        hidden, rotation = self.begin(token_ids, positions)
        for layer in self.layers:
            hidden = layer(hidden, rotation, step)
        return self.norm(hidden)

    def begin(self, token_ids: Tensor, positions: Tensor) -> tuple[Tensor, Rotation]:
        """What the first layer takes: tokens (B,) embedded, (B, D), and where they stand, (B,)."""
        hidden: Tensor = self._embed(token_ids)
        return hidden, self.rotation(hidden, positions)

    def rotation(self, hidden: Tensor, positions: Tensor) -> Rotation:
        """Of tokens at positions (B,), for numbers like ``hidden``."""
        cosine, sine = self._rotary(hidden, positions[None])
        return Rotation.of(cosine[0, :, None], sine[0, :, None])


def _norm(module: Any) -> Norm:  # noqa: ANN401
    return Norm(module.weight.detach(), module.variance_epsilon)
