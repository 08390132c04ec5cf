"""Write what transformers' video processors make of the clip of the tests; needs torchvision.

python -m tests.runners.hub.record
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoVideoProcessor

from contracts.media import stack_frames
from tests.runners.hub.families import FAMILIES
from tests.runners.hub.media import clip
from tests.runners.hub.reference import RECORDED, metadata


def record(directory: Path) -> None:
    """Record one checkpoint's video processor."""
    processor = AutoVideoProcessor.from_pretrained(directory)
    features = processor(
        [stack_frames(clip().frames)],
        video_metadata=[metadata(clip())],
        do_sample_frames=False,
        return_tensors="pt",
    )
    tensors = {k: v.contiguous() for k, v in features.items() if isinstance(v, torch.Tensor)}
    name = AutoConfig.from_pretrained(directory).model_type
    save_file(tensors, RECORDED / f"{name}.safetensors")


if __name__ == "__main__":
    RECORDED.mkdir(exist_ok=True)
    with TemporaryDirectory() as scratch:
        for family in FAMILIES:
            if family.knows_video:
                record(family.write(Path(scratch) / family.name))
