from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from random import Random

import av
import numpy as np
import pytest
from PIL import Image

from demo.drawing import render
from demo.files import Encoding, num_frames_of, read_frames, write_clip
from demo.scenes import random_scene
from demo.world import random_item, write_item, write_world


@pytest.mark.parametrize("fps", [Fraction(10), Fraction(30000, 1001)])
def test_a_clip_is_h264_of_the_size_rate_and_length_it_should_have(
    tmp_path: Path, fps: Fraction
) -> None:
    scene, encoding = random_scene(Random(2)), Encoding((160, 120), fps)
    write_clip(tmp_path / "clip.mp4", scene, encoding)
    with av.open(str(tmp_path / "clip.mp4"), "r") as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert (stream.width, stream.height) == (160, 120)
        assert stream.average_rate == fps
        assert sum(1 for _ in container.decode(video=0)) == num_frames_of(scene, encoding)


def test_decoded_frames_look_like_the_scene(tmp_path: Path) -> None:
    scene, encoding = random_scene(Random(3)), Encoding((320, 180), Fraction(10))
    write_clip(tmp_path / "clip.mp4", scene, encoding)
    last = num_frames_of(scene, encoding) - 1
    for index, frame in zip((0, last), read_frames(tmp_path / "clip.mp4", [0, last]), strict=True):
        drawn = render(scene, index / last, (320, 180))
        assert np.abs(frame.astype(int) - drawn).mean() < 6


def test_a_world_has_the_same_questions_for_the_same_seed(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_world(tmp_path / folder, seed=5, count=3, num_questions=2)
    truth = (tmp_path / "a" / "truth.jsonl").read_text()
    assert truth == (tmp_path / "b" / "truth.jsonl").read_text()
    assert len(truth.splitlines()) == 6


def test_controls_change_the_file_and_not_the_questions(tmp_path: Path) -> None:
    item = random_item("control", num_questions=3, split="held_out", kind="direction")
    path = write_item(tmp_path, item, blank=True)
    (frame,) = read_frames(path, [0])
    assert frame.astype(int).std((0, 1)).max() < 30
    straight = read_frames(write_item(tmp_path, item), range(12))
    shuffled = read_frames(write_item(tmp_path, item, shuffle=True), range(12))
    assert not np.allclose(straight, shuffled, atol=20)


def test_images_are_pictures(tmp_path: Path) -> None:
    items = (random_item(f"image {n}", num_questions=1, split="train") for n in range(40))
    still = next(item for item in items if not item.is_video)
    with Image.open(write_item(tmp_path, still)) as image:
        assert image.format in ("PNG", "JPEG")
