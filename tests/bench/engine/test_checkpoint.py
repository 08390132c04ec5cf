"""The checkpoint is drawn alike every time, and is what both kinds of servers load."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bench.engine.checkpoint import SIZE_PX, make_tokenizer, write_checkpoint, write_vllm_copy
from bench.engine.generate import ask_on
from bench.engine.growth import measure_growth, step_weights
from bench.engine.overhead import measure_overhead
from bench.engine.questions import MAX_TOKENS, draw_picture
from contracts.chat import ChatMessage, ImagePart, TextPart
from contracts.media import Picture
from llava_custom import LoadOptions
from runners.loading import load_model


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("engine") / "llava")


def test_weights_are_drawn_again_alike(path: Path, tmp_path: Path) -> None:
    again = write_checkpoint(tmp_path / "llava")
    for file in path.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes()


def test_vllm_s_copy_differs_in_the_tower_s_names_alone(path: Path, tmp_path: Path) -> None:
    ours = load_file(path / "model.safetensors")
    theirs = load_file(write_vllm_copy(tmp_path / "copy", path) / "model.safetensors")
    assert len(theirs) == len(ours)
    for name, tensor in ours.items():
        renamed = name.replace("vision_tower.", "vision_tower.vision_model.")
        assert torch.equal(theirs[renamed], tensor)


def test_answers_are_words_and_never_end_early(path: Path) -> None:
    (answer,) = [one for one, _ in zip(ask_on(path, "picture", 60), range(1), strict=False)]
    assert len(answer.token_s) == MAX_TOKENS
    head = load_file(path / "model.safetensors")["language_model.lm_head.weight"]
    tokenizer = make_tokenizer()
    words = [tokenizer.decode([index]) for index in head.any(dim=1).nonzero()[:, 0].tolist()]
    assert len(words) > 300
    assert all(word.startswith(" ") and word[1:].isalpha() for word in words)


def test_lookout_counts_its_tokens(path: Path) -> None:
    model = load_model(str(path), LoadOptions())
    picture = Picture(draw_picture(np.random.default_rng(0)), SIZE_PX, SIZE_PX, "jpeg")
    prompt = model.plan((ChatMessage("user", (ImagePart(picture), TextPart("What is it?"))),))
    assert prompt.tokens.image == 64


def test_growth_is_told_beside_what_is_the_least(path: Path) -> None:
    assert step_weights(path) == 25_817_600
    text = measure_growth(path, batches=(1, 2), contexts=(3,))
    assert text.count("\n| 1 | 3 | 52 | ") == 1
    assert text.count("\n| 2 | 3 | ") == 1


def test_what_a_turn_adds_is_told_for_every_batch(path: Path) -> None:
    lines = measure_overhead(path, batches=(1, 3)).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 1", "| 3"]
