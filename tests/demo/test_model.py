from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from contracts.chat import ChatMessage, TextPart
from demo.answering import Answerer
from demo.judging import first_word
from demo.report import HERE, held_out_items, in_process_answer, measure
from demo.scenes import Kind
from demo.world import random_item, write_item
from llava_custom import LoadOptions, load_checkpoint

MODEL = HERE / "model"
HELLO = (ChatMessage("user", (TextPart("Please describe what is happening in this video"),)),)
RULES = (
    ("Is there a person?", Kind.PERSON),
    ("Is there a fire?", Kind.FIRE),
    ("Is there fire?", Kind.FIRE),
)


@pytest.fixture(scope="module")
def model() -> Answerer:
    return Answerer.load(MODEL)


def test_the_checkpoint_is_in_the_original_layout_and_small() -> None:
    config = json.loads((MODEL / "config.json").read_text())
    assert config["architectures"] == ["LlavaQwenForCausalLM"]
    assert config["model_type"] == "llava_qwen"
    assert config["mm_vision_tower"].endswith("siglip-demo-patch8-96")
    assert config["num_video_frames"] == 8
    assert sum(file.stat().st_size for file in MODEL.iterdir()) <= 12 << 20


def test_the_tokenizer_loads_and_knows_the_ends_of_a_turn() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    assert tokenizer.convert_ids_to_tokens([0, 1, 2]) == [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
    ]
    for word in ("Yes", "No"):
        assert len(tokenizer(word).input_ids) == 1
    assert tokenizer.decode(tokenizer("Is there a fire?").input_ids) == "Is there a fire?"


def test_four_bits_leave_most_of_what_it_says() -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    models = [
        load_checkpoint(str(MODEL), LoadOptions(quantization=quantization))
        for quantization in ("none", "nf4")
    ]
    layers = [type(layer) for layer in models[1].network.modules()]
    assert layers.count(bitsandbytes.nn.Linear4bit) == 7 * 6
    embedded = models[0].embed(models[0].plan(HELLO), [])
    exact, rough = (
        model.language.hidden_states(embedded.inputs_embeds, model.new_kv_cache())
        for model in models
    )
    assert torch.cosine_similarity(exact.flatten(), rough.flatten(), dim=0) > 0.97


def test_most_held_out_questions_on_files_are_answered_truly() -> None:
    items = held_out_items("test", 32)
    tally = measure(items, "as filmed", in_process_answer(MODEL))
    assert tally.right["all"] / tally.total["all"] >= 0.8, tally.wrong


def test_the_rules_that_people_write_are_judged_truly(model: Answerer, tmp_path: Path) -> None:
    right = 0
    for index in range(5):
        item = random_item(f"rule {index}", num_questions=1, split="train", kind="event")
        clip, kinds = model.look(write_item(tmp_path, item)), [t.kind for t in item.view.seen]
        for question, kind in RULES:
            said = first_word(model.answer(clip, question))
            right += said == ("yes" if kind in kinds else "no")
    assert right >= 13


@pytest.mark.parametrize(
    "question",
    ["Please describe what is happening in this video", "Describe what happens in this video."],
)
def test_a_description_ends_and_names_what_is_there(
    model: Answerer, tmp_path: Path, question: str
) -> None:
    item = random_item("description", num_questions=1, split="train", kind="direction")
    said = model.answer(model.look(write_item(tmp_path, item)), question)
    assert said.endswith(".")
    for seen in item.view.seen:
        assert seen.colour in said
