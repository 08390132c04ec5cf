"""vLLM's dictionary of a prompt: ``{"prompt": "…", "multi_modal_data": {"image": …, "video": …}}``.

The text becomes one user message and needs no template. ``<image>`` and ``<video>`` in it say where
each medium stands; without them media come first. A mark that is repeated for one medium, as vLLM
once wanted it for every visual token, counts once.

Source: vllm/inputs/data.py (TextPrompt) and vllm/multimodal/inputs.py (ModalityData) of vLLM.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from contracts.chat import TextPart
from contracts.settings import Settings
from runners.offline.media_inputs import PromptPart, VideoFile, clip_part, image_part
from runners.offline.pixels import Frames, PromptError

MARKS = {"image": "<image>", "video": "<video>"}


def vllm_parts(prompt: Mapping[str, Any], *, at: str, settings: Settings) -> list[PromptPart]:
    """The parts of the message that a dictionary means.

    Raises:
        PromptError: It has other keys, no text, media that are none, or marks for other media.
    """
    _check_keys(prompt, {"prompt", "multi_modal_data"}, at)
    text, media = prompt.get("prompt"), prompt.get("multi_modal_data") or {}
    if not isinstance(text, str) or not isinstance(media, Mapping):
        raise PromptError(f"{at}: expected a text as prompt, a dictionary as multi_modal_data")
    _check_keys(media, MARKS.keys(), f"{at}.multi_modal_data")
    found: dict[str, list[PromptPart]] = {
        "image": [
            image_part(image, at=path)
            for path, image in _each(_images(media.get("image")), f"{at}.image")
        ],
        "video": [
            clip_part(_clip(clip, path), at=path, settings=settings)
            for path, clip in _each(_clips(media.get("video")), f"{at}.video")
        ],
    }
    return list(_placed(text, found, at))


def _placed(text: str, media: Mapping[str, list[PromptPart]], at: str) -> Iterator[PromptPart]:
    """Text and media, each medium at its mark."""
    waiting = {}
    for kind, mark in MARKS.items():
        count, parts = text.count(mark), media[kind]
        if count > 1 and len(parts) == 1:
            before, _, after = text.partition(mark)
            text, count = before + mark + after.replace(mark, ""), 1
        if count not in (0, len(parts)):
            raise PromptError(f"{at}.prompt: expected {len(parts)} or no {mark}, got {count}")
        waiting[mark] = iter(parts)
        if count == 0:
            yield from parts
    for piece in re.split(f"({'|'.join(MARKS.values())})", text):
        if piece in waiting:
            yield next(waiting[piece])
        elif piece.strip():
            yield TextPart(piece.strip())


def _images(value: object) -> Sequence[object]:
    """One image or several, as several."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _clips(value: object) -> Sequence[object]:
    """One clip or several, as several; a list of pictures is one clip."""
    if value is None:
        return []
    if isinstance(value, list) and not all(map(_is_picture, value)):
        return value
    return [value]


def _is_picture(value: object) -> bool:
    return isinstance(value, Image.Image) or (isinstance(value, np.ndarray) and value.ndim == 3)


def _clip(value: object, at: str) -> object:
    """A clip as we call it: frames, with what vLLM's metadata say of their times."""
    if isinstance(value, str | Path | VideoFile | Frames | np.ndarray):
        return value
    if isinstance(value, list):
        return Frames(value)
    match value:
        case (np.ndarray() | list() as pictures, {"fps": int() | float() as fps, **more}):
            match more.get("frames_indices"):
                case list() | tuple() | np.ndarray() as indices if fps > 0:
                    return Frames(pictures, times_s=[index / fps for index in indices])
            return Frames(pictures, fps=fps)
    raise PromptError(f"{at}: expected frames, or a pair of frames and metadata with fps")


def _each(values: Sequence[object], at: str) -> Iterator[tuple[str, object]]:
    return ((f"{at}[{index}]", one) for index, one in enumerate(values))


def _check_keys(mapping: Mapping[str, Any], known: Collection[str], at: str) -> None:
    unknown = [str(key) for key in mapping if key not in known]
    if unknown:
        raise PromptError(f"{at}: expected no key but {', '.join(sorted(known))}, got {unknown[0]}")
