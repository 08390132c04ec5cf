"""How pictures and clips are shown to the model, decided from their sizes; no pixel is touched."""

from contracts.chat import ImagePart
from contracts.media import Clip
from llava_custom.llava_video_blocks import num_video_tokens, pooled_side
from llava_custom.llava_video_config import LlavaVideoConfig
from llava_custom.prompt import Visual
from llava_custom.tiling import Tiling, best_canvas


def plan_clip(clip: Clip, config: LlavaVideoConfig) -> Visual:
    """Every frame squashed, pooled, with newlines where the checkpoint has them."""
    side = pooled_side(config.patches_per_side, config.pool_mode)
    return Visual(
        kind="video",
        num_tokens=num_video_tokens(len(clip.frames), side, config.newline),
        pictures=tuple(frame.rgb for frame in clip.frames),
    )


def plan_image(part: ImagePart, config: LlavaVideoConfig, *, is_alone: bool) -> Visual:
    """One picture in tiles, or whole and once if it has company or its detail is low.

    Source: LLAVA.md 1.6; among several pictures each is padded, as lmms-eval runs the original.
    """
    rgb = part.picture.rgb
    is_tiled = config.image_mode == "tiles"
    if not (is_tiled and is_alone and part.detail != "low"):
        is_padded = config.image_mode == "pad" or (is_tiled and not is_alone)
        num_tokens = config.patches_per_side**2 + 1  # and one newline
        return Visual("image", num_tokens, (rgb,), is_padded=is_padded)
    picture_wh = (rgb.shape[1], rgb.shape[0])
    tiling = Tiling(
        picture_wh=picture_wh,
        canvas_wh=best_canvas(picture_wh, config.canvases_wh),
        tile_px=config.image_size_px,
        patches_per_side=config.patches_per_side,
        max_tiles=config.max_tiles,
    )
    return Visual("image", tiling.num_tokens, (rgb,), tiling=tiling)
