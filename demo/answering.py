"""The demo model in this process: a file and a question in, an answer out.

For the training's own measurements and the tests; the service has its own, faster way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from demo.answers import View
from demo.architecture import NUM_FRAMES, POOLED, Eyes, Speech
from demo.checkpoint import load_checkpoint
from demo.clips import Sample, Table, kept_patches
from demo.drawing import U8
from demo.files import read_frames
from demo.pool import Encoded, encode
from demo.prompts import (
    PLAIN_SYSTEM,
    after_media,
    before_media,
    load_tokenizer,
    time_sentence,
    turn,
)
from demo.vision_data import letterbox, squash

MAX_NEW_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Answerer:
    """A checkpoint that answers, one question at a time, greedily."""

    eyes: Eyes
    speech: Speech
    tokenizer: PreTrainedTokenizerFast

    @classmethod
    def load(cls, path: Path) -> Answerer:
        """Read a checkpoint folder."""
        eyes, speech = load_checkpoint(path)
        return cls(eyes, speech, load_tokenizer(path))

    def look(self, path: Path) -> Encoded:
        """Encode a clip (.mp4) or an image file."""
        return encode(self.eyes, [_clip(path) if path.suffix == ".mp4" else _image(path)])[0]

    @torch.no_grad()
    def answer(self, seen: Encoded, question: str, system: str = PLAIN_SYSTEM) -> str:
        """The greedy answer to a question on something looked at."""
        embed = self.speech.language.model.embed_tokens
        padded = torch.cat([seen.tokens.float(), self.speech.newline[None]])
        closing = after_media(seen.sample.time_text) + turn(question)
        embeds = torch.cat(
            [embed(self._ids(before_media(system))), padded[seen.order], embed(self._ids(closing))]
        )[None]
        mask = torch.ones(embeds.shape[:2], dtype=torch.long)
        ids = self.speech.language.generate(
            inputs_embeds=embeds,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=MAX_NEW_TOKENS,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
        )
        return str(self.tokenizer.decode(ids[0], skip_special_tokens=True)).strip()

    def _ids(self, text: str) -> Tensor:
        return torch.tensor(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def _clip(path: Path) -> Sample:
    total, fps = _measure(path)
    indices = np.linspace(0, total - 1, NUM_FRAMES).astype(int).tolist()
    frames = [squash(Image.fromarray(rgb)) for rgb in read_frames(path, indices)]
    text = time_sentence(total / fps, [index / fps for index in indices])
    return _unlabelled(np.stack(frames), View((), "video"), text, None)


def _measure(path: Path) -> tuple[int, float]:
    with av.open(str(path)) as container:
        total = sum(1 for _ in container.decode(video=0))
        return total, float(container.streams.video[0].average_rate or 1)


def _image(path: Path) -> Sample:
    with Image.open(path) as file:
        image = file.convert("RGB")
    frames = np.stack([squash(image), letterbox(image, 0)])
    return _unlabelled(frames, View((), "image"), "", kept_patches(image.size))


def _unlabelled(
    rgb: U8, view: View, time_text: str, rows: tuple[int, int, int, int] | None
) -> Sample:
    """A sample whose truth is not known."""
    nothing = np.zeros((len(rgb), 0), np.int64)
    cells = np.zeros((len(rgb), POOLED * POOLED), np.int64)
    shift = np.zeros((len(rgb), 0, 2), np.float32)
    return Sample(rgb, view, time_text, rows, Table(nothing, nothing), cells, shift)
