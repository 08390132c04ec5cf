"""Many questions on one clip in one pass: each sees the clip's tokens and itself only.

The same arithmetic as ``Qwen2ForCausalLM``, layer by layer with its own modules; a test compares
the two. The prefix (system prompt, visual tokens, time sentence) is computed once per clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import Qwen2ForCausalLM
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, Qwen2DecoderLayer


@dataclass(frozen=True, slots=True)
class Packed:
    """B clips with K questions each, padded on the right.

    ``prefix`` is (B, P, D) embeddings of which the first ``lengths`` (B,) count;
    ``segments`` is int64 (B, K, S), ``targets`` likewise: the next token where it is to be
    learnt, -100 elsewhere.
    """

    prefix: Tensor
    lengths: Tensor
    segments: Tensor
    targets: Tensor


@dataclass(frozen=True, slots=True)
class Trace:
    """What a pass went through.

    ``final`` is (B, K, S, D), the segments' last hidden states after the final norm. For every
    layer, ``states`` has the prefix's output (B, P, D), ``seen`` the prefix's attention
    (B, heads, P, P), ``told`` the segments' attention to the prefix (B, heads, K * S, P) and
    ``own`` to themselves (B, heads, K * S, S).
    """

    final: Tensor
    states: list[Tensor]
    seen: list[Tensor]
    told: list[Tensor]
    own: list[Tensor]


def run_packed(language: Qwen2ForCausalLM, packed: Packed) -> Trace:
    """Run the language model over prefixes and questions."""
    model = language.model
    num_clips, width, _ = packed.prefix.shape
    _, num_questions, length = packed.segments.shape
    before = packed.prefix
    after = model.embed_tokens(packed.segments).flatten(1, 2)  # (B, K * S, D)
    places = torch.arange(width).expand(num_clips, width)
    later = packed.lengths[:, None, None] + torch.arange(length).expand(1, num_questions, length)
    rotation = model.rotary_emb(before, torch.cat([places, later.flatten(1)], 1))
    is_padding = torch.arange(width) >= packed.lengths[:, None]  # (B, P)
    states, seen, told, own = [], [], [], []
    for layer in model.layers:
        hidden = torch.cat([before, after], 1)
        mixed, *weights = _attend(layer, hidden, rotation, is_padding, (num_questions, length))
        hidden = hidden + mixed
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        before, after = hidden[:, :width], hidden[:, width:]
        states.append(before)
        seen.append(weights[0])
        told.append(weights[1])
        own.append(weights[2])
    final: Tensor = model.norm(after)
    return Trace(final.reshape(num_clips, num_questions, length, -1), states, seen, told, own)


def _attend(
    layer: Qwen2DecoderLayer,
    hidden: Tensor,
    rotation: tuple[Tensor, Tensor],
    is_padding: Tensor,
    segments: tuple[int, int],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What attention adds to the hidden states, and its weights as in ``Trace``."""
    attention = layer.self_attn
    query, key, value = _heads(attention, layer.input_layernorm(hidden), rotation)
    width = is_padding.shape[1]
    seen, within = _attend_prefix(query[:, :, :width], key[:, :, :width], value[:, :, :width])
    told, back, own = _attend_segments(query, key, value, is_padding, segments)
    joined = torch.cat([seen, told], 2).transpose(1, 2).flatten(2)
    mixed: Tensor = attention.o_proj(joined)
    return mixed, within, back, own


def _heads(
    attention: Qwen2Attention, hidden: Tensor, rotation: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Rotated queries, keys and values, each (B, heads, T, D / heads)."""
    cos, sin = (angle[:, None] for angle in rotation)
    split = (-1, attention.head_dim)
    query = attention.q_proj(hidden).unflatten(-1, split).transpose(1, 2)
    key = attention.k_proj(hidden).unflatten(-1, split).transpose(1, 2)
    value = attention.v_proj(hidden).unflatten(-1, split).transpose(1, 2)
    query = (query * cos + _half_turned(query) * sin) * attention.scaling
    key = key * cos + _half_turned(key) * sin
    groups = attention.num_key_value_groups
    return (
        query.to(value.dtype),
        key.to(value.dtype).repeat_interleave(groups, 1),
        value.repeat_interleave(groups, 1),
    )


def _half_turned(x: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat([-second, first], -1)


def _attend_prefix(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Causal attention within the prefix; its padding comes last, so nobody before sees it."""
    width = query.shape[2]
    ahead = torch.full((width, width), -torch.inf).triu(1).to(query.dtype)
    weights = (query @ key.transpose(-1, -2) + ahead).softmax(-1)
    return weights @ value, weights


def _attend_segments(
    query: Tensor, key: Tensor, value: Tensor, is_padding: Tensor, segments: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Every segment attends to the clip's prefix and, causally, to itself."""
    width, (num_questions, length) = is_padding.shape[1], segments
    asks = query[:, :, width:]
    hide = torch.zeros_like(is_padding, dtype=query.dtype).masked_fill(is_padding, -torch.inf)
    far = asks @ key[:, :, :width].transpose(-1, -2) + hide[:, None, None]
    apart = (num_questions, length)
    own_key = _apart(key[:, :, width:], apart)
    ahead = torch.full((length, length), -torch.inf).triu(1).to(query.dtype)
    near = _apart(asks, apart) @ own_key.transpose(-1, -2) + ahead  # (B, h, K, S, S)
    weights = torch.cat([far, near.flatten(2, 3)], -1).softmax(-1)
    there, here = torch.split(weights, [width, length], -1)
    own_value = _apart(value[:, :, width:], apart)
    told: Tensor = there @ value[:, :, :width] + (_apart(here, apart) @ own_value).flatten(2, 3)
    return told, there, here


def _apart(x: Tensor, segments: tuple[int, int]) -> Tensor:
    """Set the segments apart: (B, h, K * S, d) -> (B, h, K, S, d)."""
    return x.reshape(*x.shape[:2], *segments, x.shape[-1])
