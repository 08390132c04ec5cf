"""The SigLIP tower of both families: sizes, and the tensors of its files.

Source: LLAVA.md 1.2, 1.3 and 3.1.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TowerSizes:
    """A SigLIP tower: sizes of its layers, its picture and its patches in pixels."""

    hidden_size: int = 1152
    intermediate_size: int = 4304
    num_layers: int = 27
    image_px: int = 384
    patch_px: int = 14

    @property
    def num_patches(self) -> int:
        """Of one picture."""
        return (self.image_px // self.patch_px) ** 2


SO400M = TowerSizes()


def tower_shapes(prefix: str, sizes: TowerSizes) -> dict[str, tuple[int, ...]]:
    """A SigLIP tower without its pooling head."""
    width, patch_px = sizes.hidden_size, sizes.patch_px
    shapes: dict[str, tuple[int, ...]] = {
        f"{prefix}embeddings.patch_embedding.weight": (width, 3, patch_px, patch_px),
        f"{prefix}embeddings.patch_embedding.bias": (width,),
        f"{prefix}embeddings.position_embedding.weight": (sizes.num_patches, width),
        f"{prefix}post_layernorm.weight": (width,),
        f"{prefix}post_layernorm.bias": (width,),
    }
    for index in range(sizes.num_layers):
        at = f"{prefix}encoder.layers.{index}."
        linear = {f"self_attn.{name}_proj": (width, width) for name in ("q", "k", "v", "out")}
        linear["mlp.fc1"] = (sizes.intermediate_size, width)
        linear["mlp.fc2"] = (width, sizes.intermediate_size)
        for name, shape in linear.items():
            shapes |= {f"{at}{name}.weight": shape, f"{at}{name}.bias": shape[:1]}
        for norm in ("layer_norm1", "layer_norm2"):
            shapes |= {f"{at}{norm}.weight": (width,), f"{at}{norm}.bias": (width,)}
    return shapes


def head_shapes(prefix: str, sizes: TowerSizes) -> dict[str, tuple[int, ...]]:
    """The pooling head, which VILA's file has and nobody reads."""
    width, wide = sizes.hidden_size, sizes.intermediate_size
    shapes: dict[str, tuple[int, ...]] = {
        "probe": (1, 1, width),
        "attention.in_proj_weight": (3 * width, width),
        "attention.in_proj_bias": (3 * width,),
        "attention.out_proj.weight": (width, width),
        "attention.out_proj.bias": (width,),
        "layernorm.weight": (width,),
        "layernorm.bias": (width,),
        "mlp.fc1.weight": (wide, width),
        "mlp.fc1.bias": (wide,),
        "mlp.fc2.weight": (width, wide),
        "mlp.fc2.bias": (width,),
    }
    return {f"{prefix}{name}": shape for name, shape in shapes.items()}
