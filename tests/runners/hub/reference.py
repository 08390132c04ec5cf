"""What transformers itself makes of a conversation: its own processor, its own ``generate``.

Its video processors need torchvision. Where that is not installed, what they made of the clip of
these tests is read from ``recorded``; ``record.py`` wrote it with torchvision 0.28.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoProcessor,
    AutoTokenizer,
    AutoVideoProcessor,
    BatchFeature,
)
from transformers.utils import is_torchvision_available
from transformers.video_processing_utils import BaseVideoProcessor
from transformers.video_utils import VideoMetadata

from contracts.chat import ChatMessage, ImagePart, TextPart, VideoPart
from contracts.media import Clip, stack_frames

RECORDED = Path(__file__).parent / "recorded"
GREEDY = {
    "do_sample": False,
    "temperature": None,
    "top_p": None,
    "top_k": None,
    "repetition_penalty": 1.0,
}


@dataclass(frozen=True)
class Reference:
    """A conversation as transformers answers it.

    Attributes:
        prompt_ids: Of the prompt, placeholders of media expanded.
        answer_ids: What ``generate`` chose, the end token left out.
        logprobs: Of those.
    """

    prompt_ids: list[int]
    answer_ids: list[int]
    logprobs: list[float]


class RecordedVideoProcessor(BaseVideoProcessor):  # type: ignore[misc]
    """Gives what the checkpoint's own video processor made of ``clip``, whatever it is shown."""

    def __init__(self, recorded: str, **settings: object) -> None:
        super().__init__(**settings)
        self.recorded = recorded

    def __call__(
        self, videos: object, *, video_metadata: list[dict[str, Any]], **kwargs: object
    ) -> BatchFeature:
        metadata = [VideoMetadata(**one) for one in video_metadata]
        return BatchFeature(load_file(self.recorded) | {"video_metadata": metadata})


def answer(path: Path, messages: Sequence[ChatMessage], num_tokens: int) -> Reference:
    """Continue a conversation greedily, in float32."""
    inputs = prepare(path, messages)
    network = load_network(path)
    output = network.generate(
        **inputs,
        **GREEDY,
        max_new_tokens=num_tokens,
        output_logits=True,
        return_dict_in_generate=True,
    )
    prompt_ids = inputs["input_ids"][0].tolist()
    ids = output.sequences[0, len(prompt_ids) :].tolist()
    chosen = [
        float(torch.log_softmax(logits[0], -1)[token_id])
        for logits, token_id in zip(output.logits, ids, strict=True)
    ]
    end = network.generation_config.eos_token_id
    if ids[-1] in (end if isinstance(end, list) else [end]):
        ids, chosen = ids[:-1], chosen[:-1]
    return Reference(prompt_ids, ids, chosen)


def prepare(path: Path, messages: Sequence[ChatMessage]) -> BatchFeature:
    """The inputs that the checkpoint's own processor makes of a conversation."""
    clips = [part.clip for m in messages for part in m.parts if isinstance(part, VideoPart)]
    kwargs: dict[str, Any] = {}
    if clips:
        kwargs |= {
            "do_sample_frames": False,
            "video_metadata": [metadata(clip) for clip in clips],
        }
    inputs: BatchFeature = load_processor(path).apply_chat_template(
        conversation(messages),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs=kwargs,
    )
    return inputs


def conversation(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Messages as transformers takes them."""
    return [
        {"role": message.role, "content": [_content(part) for part in message.parts]}
        for message in messages
    ]


def _content(part: TextPart | ImagePart | VideoPart) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        return {"type": "image", "image": Image.fromarray(part.picture.rgb)}
    return {"type": "video", "video": stack_frames(part.clip.frames)}


def metadata(clip: Clip) -> dict[str, Any]:
    """What transformers is told of a clip: frames at their true times."""
    times = clip.frame_times_s
    fps = (len(times) - 1) / (times[-1] - times[0])
    return {
        "total_num_frames": len(times),
        "fps": fps,
        "duration": len(times) / fps,
        "frames_indices": list(range(len(times))),
        "width": clip.width,
        "height": clip.height,
        "video_backend": None,
    }


@cache
def load_network(path: Path) -> Any:  # noqa: ANN401
    """The model of transformers, in float32."""
    (architecture,) = AutoConfig.from_pretrained(path).architectures
    return getattr(transformers, architecture).from_pretrained(path, dtype=torch.float32).eval()


@cache
def load_processor(path: Path) -> Any:  # noqa: ANN401
    """The processor of transformers, on Pillow."""
    processor_class = transformers.PROCESSOR_MAPPING[type(AutoConfig.from_pretrained(path))]
    if "video_processor" not in processor_class.get_attributes():
        return AutoProcessor.from_pretrained(path, backend="pil")
    settings, kwargs = processor_class.get_processor_dict(path)
    parts = {
        "image_processor": AutoImageProcessor.from_pretrained(path, backend="pil"),
        "tokenizer": AutoTokenizer.from_pretrained(path),
        "video_processor": _load_video_processor(path),
    }
    arguments = [parts[name] for name in processor_class.get_attributes()]
    # Without torchvision it looks for a base class of video processors that it did not define.
    unchecked: Any = type(
        processor_class.__name__,
        (processor_class,),
        {"check_argument_for_proper_class": lambda self, name, argument: type(argument)},
    )
    return unchecked.from_args_and_dict(arguments, settings, **kwargs)


def _load_video_processor(path: Path) -> BaseVideoProcessor:
    if is_torchvision_available():
        return AutoVideoProcessor.from_pretrained(path)
    settings, _ = BaseVideoProcessor.get_video_processor_dict(path)
    name = f"{AutoConfig.from_pretrained(path).model_type}.safetensors"
    return RecordedVideoProcessor(str(RECORDED / name), **settings)
