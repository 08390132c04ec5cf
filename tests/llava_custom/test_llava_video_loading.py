import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from contracts.chat import ChatMessage, TextPart
from contracts.errors import WeightsError
from llava_custom import LoadOptions, VisionLanguageModel, load_checkpoint, read_config

Copy = Callable[[Mapping[str, object]], Path]
Load = Callable[[Mapping[str, object], LoadOptions], VisionLanguageModel]

TOWER = "model.vision_tower.vision_tower.vision_model."
QUESTION = (ChatMessage("user", (TextPart("What is this?"),)),)


def rewrite(checkpoint: Path, changes: Mapping[str, Tensor | None]) -> str:
    """Replace, add or (None) leave out tensors; the weights become one file without an index."""
    tensors: dict[str, Tensor] = {}
    for shard in sorted(checkpoint.glob("*.safetensors")):
        tensors |= load_file(shard)
        shard.unlink()
    (checkpoint / "model.safetensors.index.json").unlink()
    kept = {key: tensor for key, tensor in {**tensors, **changes}.items() if tensor is not None}
    save_file(kept, checkpoint / "model.safetensors", metadata={"format": "pt"})
    return str(checkpoint)


def refusal(path: str) -> str:
    with pytest.raises(WeightsError) as caught:
        load_checkpoint(path, LoadOptions())
    return str(caught.value)


def logits(model: VisionLanguageModel) -> Tensor:
    return model.prefill(model.embed(model.plan(QUESTION), []), model.new_kv_cache())


def test_one_file_loads_as_well_as_several(
    copy_checkpoint: Copy, model: VisionLanguageModel
) -> None:
    single = load_checkpoint(rewrite(copy_checkpoint({}), {}), LoadOptions())
    torch.testing.assert_close(logits(single), logits(model), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "key",
    [
        "model.image_newline",
        "lm_head.weight",
        "model.embed_tokens.weight",
        "model.layers.1.mlp.up_proj.weight",
        "model.mm_projector.2.bias",
        f"{TOWER}encoder.layers.1.mlp.fc2.bias",
        f"{TOWER}embeddings.position_embedding.weight",
        f"{TOWER}embeddings.patch_embedding.weight",
        f"{TOWER}encoder.layers.0.mlp.fc1.weight",
    ],
)
def test_a_missing_tensor_is_named(copy_checkpoint: Copy, key: str) -> None:
    assert key in refusal(rewrite(copy_checkpoint({}), {key: None}))


@pytest.mark.parametrize(
    "key",
    [
        "model.layers.2.input_layernorm.weight",
        f"{TOWER}head.probe",
        f"{TOWER}embeddings.class_embedding",
        "model.vision_resampler.weight",
    ],
)
def test_a_tensor_too_many_is_named(copy_checkpoint: Copy, key: str) -> None:
    message = refusal(rewrite(copy_checkpoint({}), {key: torch.zeros(64)}))
    assert f"unexpected: {key}" in message


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("model.mm_projector.0.weight", (64, 33)),
        ("model.layers.0.self_attn.k_proj.bias", (64,)),
        ("model.image_newline", (32,)),
        (f"{TOWER}encoder.layers.0.mlp.fc1.bias", (57,)),
        (f"{TOWER}embeddings.patch_embedding.weight", (32, 3)),
    ],
)
def test_a_tensor_of_another_shape_is_named(
    copy_checkpoint: Copy, key: str, shape: tuple[int, ...]
) -> None:
    message = refusal(rewrite(copy_checkpoint({}), {key: torch.zeros(shape)}))
    assert key in message
    assert str(shape) in message


def test_a_shape_is_checked_before_it_is_quantised(copy_checkpoint: Copy) -> None:
    key = "model.layers.0.mlp.up_proj.weight"
    path = rewrite(copy_checkpoint({}), {key: torch.zeros(128, 128)})
    with pytest.raises(WeightsError, match=key):
        load_checkpoint(path, LoadOptions(quantization="nf4"))


def test_many_tensors_are_listed_in_part(copy_checkpoint: Copy) -> None:
    message = refusal(str(copy_checkpoint({"num_hidden_layers": 3})))
    assert "missing: model.layers.2.input_layernorm.weight" in message
    assert message.endswith("and 4 more")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mm_vision_tower": "siglip-patch16-384"}, "patches of 16 px"),
        ({"mm_vision_tower": "siglip-patch14-192"}, "13 x 13"),
        ({"mm_vision_num_attention_heads": 5}, "mm_vision_num_attention_heads is 5"),
    ],
)
def test_a_config_that_contradicts_the_weights_is_refused(
    copy_checkpoint: Copy, changes: Mapping[str, object], said: str
) -> None:
    assert said in refusal(str(copy_checkpoint(changes)))


@pytest.mark.parametrize(
    "name", ["model-00002-of-00003.safetensors", "tokenizer.json", "model.safetensors.index.json"]
)
@pytest.mark.parametrize("content", [None, b"rubbish"])
def test_a_file_that_is_missing_or_damaged_is_refused(
    copy_checkpoint: Copy, name: str, content: bytes | None
) -> None:
    checkpoint = copy_checkpoint({})
    (checkpoint / name).unlink()
    if content is not None:
        (checkpoint / name).write_bytes(content)
    message = refusal(str(checkpoint))
    assert str(checkpoint) not in message


def test_a_weight_file_that_was_cut_short_is_named(copy_checkpoint: Copy) -> None:
    checkpoint = copy_checkpoint({})
    shard = checkpoint / "model-00002-of-00003.safetensors"
    whole = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(whole[:-1])
    assert f"weight file {shard.name} is missing or damaged" in refusal(str(checkpoint))


@pytest.mark.parametrize("content", ["{}", '{"weight_map": {}}', '{"weight_map": {"a": 1}}'])
def test_an_index_without_files_is_refused(copy_checkpoint: Copy, content: str) -> None:
    checkpoint = copy_checkpoint({})
    (checkpoint / "model.safetensors.index.json").write_text(content)
    assert "weight_map" in refusal(str(checkpoint))


@pytest.mark.parametrize("read", [read_config, lambda path: load_checkpoint(path, LoadOptions())])
def test_a_path_that_is_nowhere_is_refused_without_saying_where(
    tmp_path: Path, read: Callable[[str], object]
) -> None:
    with pytest.raises(WeightsError, match="'absent'") as caught:
        read(str(tmp_path / "absent"))
    assert str(tmp_path) not in str(caught.value)


def test_the_end_of_a_turn_ends_an_answer_whatever_the_config_says(copy_checkpoint: Copy) -> None:
    checkpoint = copy_checkpoint({"eos_token_id": 256})
    (checkpoint / "generation_config.json").unlink()
    assert load_checkpoint(str(checkpoint), LoadOptions()).eos_token_ids == {256, 258}


def test_a_tokenizer_of_vocabulary_and_merges_gives_the_same_ids(
    copy_checkpoint: Copy, model: VisionLanguageModel
) -> None:
    checkpoint = copy_checkpoint({})
    rules = json.loads((checkpoint / "tokenizer.json").read_text())
    (checkpoint / "vocab.json").write_text(json.dumps(rules["model"]["vocab"]))
    (checkpoint / "merges.txt").write_text("#version: 0.2\n")
    (checkpoint / "tokenizer.json").unlink()
    other = load_checkpoint(str(checkpoint), LoadOptions())
    assert other.plan(QUESTION).segments == model.plan(QUESTION).segments


def test_a_tokenizer_never_cuts_a_prompt(copy_checkpoint: Copy, model: VisionLanguageModel) -> None:
    checkpoint = copy_checkpoint({})
    rules = json.loads((checkpoint / "tokenizer.json").read_text())
    cut = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    (checkpoint / "tokenizer.json").write_text(json.dumps({**rules, "truncation": cut}))
    other = load_checkpoint(str(checkpoint), LoadOptions())
    assert other.plan(QUESTION).segments == model.plan(QUESTION).segments


def test_a_tokenizer_of_more_tokens_than_embeddings_is_refused(copy_checkpoint: Copy) -> None:
    assert "has 259 tokens" in refusal(str(copy_checkpoint({"vocab_size": 256})))


def test_a_tokenizer_without_control_tokens_is_refused(copy_checkpoint: Copy) -> None:
    checkpoint = copy_checkpoint({})
    rules = json.loads((checkpoint / "tokenizer.json").read_text())
    (checkpoint / "tokenizer.json").write_text(json.dumps({**rules, "added_tokens": []}))
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (checkpoint / name).unlink()
    assert "<|im_start|>" in refusal(str(checkpoint))


def test_tied_embeddings_need_no_head(copy_checkpoint: Copy) -> None:
    checkpoint = copy_checkpoint({"tie_word_embeddings": True})
    tied = load_checkpoint(rewrite(checkpoint, {"lm_head.weight": None}), LoadOptions())
    network = tied.network
    assert network.lm_head.weight is network.model.language_model.embed_tokens.weight


def test_half_precision_answers_in_float32(load: Load, model: VisionLanguageModel) -> None:
    half = load({}, LoadOptions(dtype=torch.bfloat16))
    assert half.embed(half.plan(QUESTION), []).inputs_embeds.dtype == torch.bfloat16
    assert logits(half).dtype == torch.float32
    assert torch.cosine_similarity(logits(half), logits(model)) > 0.99


def test_flash_attention_is_not_for_the_cpu(copy_checkpoint: Copy) -> None:
    with pytest.raises(WeightsError, match="use sdpa or auto"):
        load_checkpoint(str(copy_checkpoint({})), LoadOptions(attention="flash_attention_2"))


def test_auto_is_sdpa_on_the_cpu(model: VisionLanguageModel) -> None:
    assert model.network.config.text_config._attn_implementation == "sdpa"
    assert model.network.config.vision_config._attn_implementation == "sdpa"
