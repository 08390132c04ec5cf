"""Plain ``generate`` of transformers, one question after the other, as a script would call it.

``python -m bench.engine.generate CHECKPOINT PICTURES SECONDS`` prints one answer a line as JSON.
"""

import argparse
import base64
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.generation.streamers import BaseStreamer

from bench.engine.load import Answer, Load
from bench.engine.questions import MAX_TOKENS, Medium, Questions

NUM_PREPARED = 50


class Moments(BaseStreamer):  # type: ignore[misc]
    """Notes when tokens come."""

    def __init__(self) -> None:
        self.seen_s: list[float] = []

    def put(self, value: object) -> None:
        """Called with the prompt first, then with each token."""
        self.seen_s.append(time.perf_counter())

    def end(self) -> None:
        """Called at the end."""


def run(checkpoint: Path, medium: Medium, seconds: float) -> Load:
    """Ask in a process of its own, for its threads and memory would disturb others."""
    command = [sys.executable, "-m", "bench.engine.generate", str(checkpoint), medium]
    ended = subprocess.run([*command, str(seconds)], check=True, capture_output=True, text=True)
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    answers = [Answer(**json.loads(line)) for line in lines]
    return Load(tuple(answers), 0, answers[0].began_s)


def ask_on(checkpoint: Path, medium: Medium, seconds: float) -> Iterator[Answer]:
    """Answers until the time is over; the first question is a warm-up."""
    processor = AutoProcessor.from_pretrained(checkpoint, backend="pil")
    network = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.bfloat16)
    questions = Questions(medium, is_repeated=False, has_video=False, model="")
    bodies = list(islice(questions.bodies(), NUM_PREPARED))
    _ask(processor, network, bodies[0])
    began_s, index = time.perf_counter(), 1
    while time.perf_counter() - began_s < seconds:
        yield _ask(processor, network, bodies[index % NUM_PREPARED])
        index += 1


def _ask(processor: Any, network: Any, body: bytes) -> Answer:  # noqa: ANN401 - transformers is untyped
    answer, moments = Answer(time.perf_counter(), status=200), Moments()
    content = json.loads(body)["messages"][0]["content"]
    urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    pictures = [_picture(url) for url in urls]
    parts = [{"type": "image"} for _ in pictures] + [content[-1]]
    text = processor.apply_chat_template(
        [{"role": "user", "content": parts}], add_generation_prompt=True
    )
    inputs = processor(images=pictures, text=text, return_tensors="pt").to(torch.bfloat16)
    network.generate(**inputs, max_new_tokens=MAX_TOKENS, do_sample=False, streamer=moments)
    answer.token_s = moments.seen_s[1:]
    answer.ended_s = time.perf_counter()
    return answer


def _picture(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("medium", choices=["picture", "clip"])
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()
    for one in ask_on(options.checkpoint, options.medium, options.seconds):
        print(json.dumps(asdict(one)))
