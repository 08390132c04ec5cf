from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from contracts.chat import ChatMessage, TextPart
from contracts.errors import WeightsError
from llava_custom import LoadOptions, VisionLanguageModel, load_checkpoint
from llava_custom.quantization import Quantization

Files = Mapping[str, Mapping[str, object]]
Copy = Callable[[Files], Path]
LoadVila = Callable[[LoadOptions], VisionLanguageModel]

QUESTION = (ChatMessage("user", (TextPart("What is this?"),)),)


def rewrite(checkpoint: Path, folder: str, changes: Mapping[str, Tensor | None]) -> str:
    """Replace, add or (None) leave out tensors of a folder, whose weights become one file."""
    tensors: dict[str, Tensor] = {}
    for shard in sorted((checkpoint / folder).glob("*.safetensors")):
        tensors |= load_file(shard)
        shard.unlink()
    (checkpoint / folder / "model.safetensors.index.json").unlink(missing_ok=True)
    kept = {key: tensor for key, tensor in {**tensors, **changes}.items() if tensor is not None}
    save_file(kept, checkpoint / folder / "model.safetensors", metadata={"format": "pt"})
    return str(checkpoint)


def refusal(path: str, options: LoadOptions | None = None) -> str:
    with pytest.raises(WeightsError) as caught:
        load_checkpoint(path, options or LoadOptions())
    return str(caught.value)


def logits(model: VisionLanguageModel) -> Tensor:
    return model.prefill(model.embed(model.plan(QUESTION), []), model.new_kv_cache())


def test_the_last_layer_and_the_head_of_the_tower_are_dropped(vila: VisionLanguageModel) -> None:
    names = [name for name, _ in vila.network.model.vision_tower.named_parameters()]
    assert {name.split(".")[2] for name in names if name.startswith("encoder.layers")} == {"0", "1"}
    assert not [name for name in names if name.startswith("head")]


@pytest.mark.parametrize(
    ("folder", "key"),
    [
        ("llm", "lm_head.weight"),
        ("llm", "model.layers.1.mlp.up_proj.weight"),
        ("vision_tower", "vision_model.encoder.layers.2.mlp.fc1.weight"),
        ("vision_tower", "vision_model.head.probe"),
        ("vision_tower", "vision_model.embeddings.position_embedding.weight"),
        ("mm_projector", "layers.4.bias"),
    ],
)
def test_a_missing_tensor_is_named_with_its_folder(copy_vila: Copy, folder: str, key: str) -> None:
    assert f"missing: {folder}/{key}" in refusal(rewrite(copy_vila({}), folder, {key: None}))


@pytest.mark.parametrize(
    ("folder", "key"),
    [
        ("llm", "model.layers.0.self_attn.q_proj.bias"),
        ("vision_tower", "vision_model.embeddings.class_embedding"),
        ("mm_projector", "layers.6.weight"),
    ],
)
def test_a_tensor_too_many_is_named(copy_vila: Copy, folder: str, key: str) -> None:
    path = rewrite(copy_vila({}), folder, {key: torch.zeros(64)})
    assert f"unexpected: {folder}/{key}" in refusal(path)


@pytest.mark.parametrize("quantization", ["none", "nf4"])
@pytest.mark.parametrize(
    ("folder", "key", "shape"),
    [
        ("llm", "model.layers.0.mlp.up_proj.weight", (128, 128)),
        ("vision_tower", "vision_model.encoder.layers.0.mlp.fc1.bias", (57,)),
        ("mm_projector", "layers.2.weight", (64, 96)),
    ],
)
def test_a_tensor_of_another_shape_is_named_before_loading(
    copy_vila: Copy, folder: str, key: str, shape: tuple[int, ...], quantization: Quantization
) -> None:
    path = rewrite(copy_vila({}), folder, {key: torch.zeros(shape)})
    message = refusal(path, LoadOptions(quantization=quantization))
    assert f"{folder}/{key} {shape} instead of" in message


def test_everything_wrong_is_said_at_once(copy_vila: Copy) -> None:
    checkpoint = copy_vila({})
    rewrite(checkpoint, "llm", {"lm_head.weight": None})
    path = rewrite(checkpoint, "mm_projector", {"layers.9.bias": torch.zeros(1)})
    message = refusal(path)
    assert "missing: llm/lm_head.weight" in message
    assert "unexpected: mm_projector/layers.9.bias" in message


@pytest.mark.parametrize(
    "name",
    [
        "llm/model-00002-of-00004.safetensors",
        "llm/model.safetensors.index.json",
        "llm/tokenizer.model",
        "vision_tower/model.safetensors",
        "mm_projector/model.safetensors",
    ],
)
@pytest.mark.parametrize("content", [None, b"rubbish"])
def test_a_file_that_is_missing_or_damaged_is_named(
    copy_vila: Copy, name: str, content: bytes | None
) -> None:
    checkpoint = copy_vila({})
    (checkpoint / name).unlink()
    if content is not None:
        (checkpoint / name).write_bytes(content)
    message = refusal(str(checkpoint))
    assert name.removesuffix(".index.json") in message
    assert str(checkpoint) not in message


def test_nothing_that_config_points_to_is_followed(copy_vila: Copy) -> None:
    elsewhere = {"_name_or_path": "/nowhere/else", "resume_path": "/nowhere/either"}
    folders = ("llm/", "vision_tower/", "mm_projector/", "")
    changes = {f"{folder}config.json": elsewhere for folder in folders}
    assert load_checkpoint(str(copy_vila(changes)), LoadOptions()).context_length == 4096


def test_one_file_loads_as_well_as_several(copy_vila: Copy, vila: VisionLanguageModel) -> None:
    single = load_checkpoint(rewrite(copy_vila({}), "llm", {}), LoadOptions())
    torch.testing.assert_close(logits(single), logits(vila), rtol=0, atol=1e-5)


def test_a_tokenizer_of_more_tokens_than_embeddings_is_refused(copy_vila: Copy) -> None:
    assert "has 600 tokens" in refusal(str(copy_vila({"llm/config.json": {"vocab_size": 500}})))


def test_a_tokenizer_of_another_template_is_refused(copy_vila: Copy) -> None:
    checkpoint = copy_vila({})
    (checkpoint / "llm/tokenizer.model").rename(checkpoint / "llm/tokenizer.json")
    assert "vicuna_v1" in refusal(str(checkpoint))


def test_the_end_of_an_answer_ends_it_whatever_the_config_says(copy_vila: Copy) -> None:
    checkpoint = copy_vila({"llm/config.json": {"eos_token_id": 9}})
    (checkpoint / "llm/generation_config.json").unlink()
    assert load_checkpoint(str(checkpoint), LoadOptions()).eos_token_ids == {2, 9}


def test_attention_is_what_was_asked_for_in_both_parts(load_vila: LoadVila) -> None:
    network = load_vila(LoadOptions(attention="eager")).network
    parts = (network.language_model, network.model.vision_tower)
    assert [part.config._attn_implementation for part in parts] == ["eager", "eager"]


def test_half_precision_answers_in_float32(load_vila: LoadVila, vila: VisionLanguageModel) -> None:
    half = load_vila(LoadOptions(dtype=torch.bfloat16))
    assert {parameter.dtype for parameter in half.network.parameters()} == {torch.bfloat16}
    assert logits(half).dtype == torch.float32
    assert torch.cosine_similarity(logits(half), logits(vila)) > 0.99


@pytest.mark.parametrize(
    ("quantization", "class_name"), [("nf4", "Linear4bit"), ("int8", "Linear8bitLt")]
)
def test_the_language_model_alone_is_quantised(
    load_vila: LoadVila, quantization: Quantization, class_name: str
) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    network = load_vila(LoadOptions(quantization=quantization)).network
    layer_class = getattr(bitsandbytes.nn, class_name)
    names = [name for name, layer in network.named_modules() if isinstance(layer, layer_class)]
    assert len(names) == 7 * 2
    assert all(name.startswith("language_model.model.layers.") for name in names)


def test_a_quantised_model_answers_alike(load_vila: LoadVila, vila: VisionLanguageModel) -> None:
    pytest.importorskip("bitsandbytes")
    rough = load_vila(LoadOptions(quantization="nf4"))
    assert torch.cosine_similarity(logits(rough), logits(vila)) > 0.97
