"""Write the demo world to a folder: ``python -m demo.world --seed S --count N --out DIR``.

Clips are H.264, images PNG or JPEG; ``truth.jsonl`` has one row per question. The same seed
gives the same scenes, questions and answers.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from demo.answers import Question, View
from demo.architecture import NUM_FRAMES
from demo.drawing import U8
from demo.files import (
    clip_frames,
    num_frames_of,
    random_encoding,
    write_image,
    write_video,
)
from demo.language import ask
from demo.scenes import Scene, moments_of, observe, random_scene
from demo.wordings import Split

IMAGE_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Truth:
    """One question on one file, with its only true answer."""

    file: str
    question: str
    answer: str
    kind: str


@dataclass(frozen=True, slots=True)
class Item:
    """One file to be written, what it shows, and what is asked about it."""

    name: str
    scene: Scene
    seed: str
    view: View
    questions: tuple[Question, ...]

    @property
    def is_video(self) -> bool:
        """Whether the file is a clip rather than an image."""
        return self.view.medium == "video"


def random_item(seed: str, *, num_questions: int, split: Split, kind: str | None = None) -> Item:
    """Draw one file's scene and its questions."""
    rng = Random(seed)
    is_image = rng.random() < IMAGE_SHARE and kind not in ("direction", "action", "moving", "event")
    scene = random_scene(rng, still=is_image)
    seen = tuple(observe(scene, [0.0] if is_image else moments_of(NUM_FRAMES)))
    view = View(seen, "image" if is_image else "video")
    ending = rng.choice(("png", "jpg")) if is_image else "mp4"
    questions = tuple(_questions(rng, view, num_questions, split, kind))
    return Item(f"{seed.replace('/', '-')}.{ending}", scene, seed, view, questions)


def _questions(
    rng: Random, view: View, count: int, split: Split, kind: str | None
) -> Iterator[Question]:
    while count:
        question = ask(rng, view, split, kind if view.seen or kind == "foreign" else None)
        if question.kind not in ("hello", "who"):
            count -= 1
            yield question


def write_item(folder: Path, item: Item, *, shuffle: bool = False, blank: bool = False) -> Path:
    """Write an item's file; shuffled frames and blank ones are controls, not the truth."""
    path, rng = folder / item.name, Random(f"{item.seed} file")
    encoding = random_encoding(rng, item.scene.aspect)
    scene = item.scene
    if blank:
        scene = Scene((), *_surroundings(scene))
    if not item.is_video:
        write_image(path, scene, encoding.size_wh)
        return path
    frames: Iterable[U8] = clip_frames(scene, encoding)
    if shuffle:
        frames = rng.sample(list(frames), num_frames_of(scene, encoding))
    write_video(path, frames, encoding)
    return path


def _surroundings(scene: Scene) -> tuple[tuple[int, int, int], str, int, float, float]:
    return (
        scene.background,
        scene.background_style,
        scene.background_seed,
        scene.aspect,
        scene.duration_s,
    )


def write_world(folder: Path, *, seed: int, count: int, num_questions: int) -> None:
    """Write ``count`` files and the truth about them."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "truth.jsonl").open("w") as truth:
        for index in range(count):
            item = random_item(f"{seed}/{index}", num_questions=num_questions, split="train")
            write_item(folder, item)
            for question in item.questions:
                row = Truth(item.name, question.text, question.answer, question.kind)
                truth.write(json.dumps(asdict(row)) + "\n")


def main() -> None:
    """Read the command line and write the files."""
    parser = argparse.ArgumentParser(description="Write clips and images of the demo world.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=20, help="number of files")
    parser.add_argument("--questions", type=int, default=5, help="questions on every file")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    options = parser.parse_args()
    write_world(
        options.out, seed=options.seed, count=options.count, num_questions=options.questions
    )


if __name__ == "__main__":
    main()
