"""The demo model's parts and sizes, built from plain transformers classes.

The same parts, joined and named as in ``demo.checkpoint``, are a LLaVA-Video checkpoint.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen2Config, Qwen2ForCausalLM, SiglipVisionConfig, SiglipVisionModel

SIZE_PX = 96
PATCH_PX = 8
GRID = SIZE_PX // PATCH_PX  # patches per side
POOLED = GRID // 2  # tokens per side of a video frame
HIDDEN = 128
NUM_VISION_HEADS = 4
NUM_FRAMES = 8  # the model's own choice of how many frames of a clip it sees
MAX_POSITIONS = 8192

VISION = SiglipVisionConfig(
    hidden_size=HIDDEN,
    intermediate_size=384,
    num_hidden_layers=4,
    num_attention_heads=NUM_VISION_HEADS,
    image_size=SIZE_PX,
    patch_size=PATCH_PX,
    vision_use_head=False,
)


def text_config(vocab_size: int) -> Qwen2Config:
    """The language model's sizes; every linear layer suits 4-bit kernels."""
    return Qwen2Config(
        vocab_size=vocab_size,
        hidden_size=HIDDEN,
        intermediate_size=384,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=MAX_POSITIONS,
        rope_theta=10000.0,
        rms_norm_eps=1e-6,
        tie_word_embeddings=False,
    )


class Eyes(nn.Module):
    """Vision tower and projector: pixels to tokens of the language model."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = SiglipVisionModel._from_config(VISION, attn_implementation="eager")
        self.linear_1 = nn.Linear(HIDDEN, HIDDEN)
        self.linear_2 = nn.Linear(HIDDEN, HIDDEN)

    def hidden(self, pixel_values: Tensor) -> Tensor:
        """The last layer's output before the final norm: (F, 3, 96, 96) -> (F, 144, D)."""
        embedded = self.tower.embeddings(pixel_values)
        hidden: Tensor = self.tower.encoder(inputs_embeds=embedded).last_hidden_state
        return hidden

    def project(self, hidden: Tensor) -> Tensor:
        """Map tower states to language model tokens: (F, 144, D) -> (F, 144, D)."""
        projected: Tensor = self.linear_2(functional.gelu(self.linear_1(hidden)))
        return projected

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Pixels to unpooled tokens: (F, 3, 96, 96) -> (F, 144, D)."""
        return self.project(self.hidden(pixel_values))


def to_pixel_values(rgb: Tensor) -> Tensor:
    """Normalise frames: uint8 (F, 96, 96, 3) -> float32 (F, 3, 96, 96) in [-1, 1]."""
    return (rgb.permute(0, 3, 1, 2).float() / 255.0 - 0.5) / 0.5


def pool(tokens: Tensor) -> Tensor:
    """Halve the grid of patches, bilinearly: (F, 144, D) -> (F, 36, D)."""
    num_frames, _, width = tokens.shape
    grid = tokens.view(num_frames, GRID, GRID, width).permute(0, 3, 1, 2)
    # From 12 to exactly 6 without antialiasing, bilinear is the mean of each 2 x 2.
    return functional.avg_pool2d(grid, 2).permute(0, 2, 3, 1).reshape(num_frames, -1, width)


class Speech(nn.Module):
    """The language model and the token that ends a row of patches."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        config = text_config(vocab_size)
        self.language = Qwen2ForCausalLM._from_config(config, attn_implementation="eager")
        self.newline = nn.Parameter(torch.randn(HIDDEN) / HIDDEN**0.5)
