import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from contracts.errors import WeightsError
from llava_custom import LoadOptions, load_checkpoint, read_config
from llava_custom.vila_config import VilaConfig, parse_config

Files = Mapping[str, Mapping[str, object]]

ROOT, LLM = "config.json", "llm/config.json"
TOWER, PIXELS = "vision_tower/config.json", "vision_tower/preprocessor_config.json"
PROJECTOR = "mm_projector/config.json"
REFUSED: list[tuple[str, str, object]] = [
    (ROOT, "image_aspect_ratio", "pad"),
    (ROOT, "image_aspect_ratio", "dynamic"),
    (ROOT, "mm_use_im_patch_token", True),
    (ROOT, "mm_use_im_start_end", True),
    (ROOT, "mm_vision_select_feature", "patch"),
    (ROOT, "mm_vision_select_feature", None),
    (ROOT, "mm_vision_select_layer", -1),
    (ROOT, "num_video_frames", 0),
    (ROOT, "vision_resolution", 448),
    (LLM, "architectures", ["MistralForCausalLM"]),
    (LLM, "architectures", None),
    (LLM, "attention_bias", True),
    (LLM, "eos_token_id", "2"),
    (LLM, "hidden_act", "gelu"),
    (LLM, "hidden_size", None),
    (LLM, "max_position_embeddings", -1),
    (LLM, "num_attention_heads", 5),
    (LLM, "num_key_value_heads", 3),
    (LLM, "pretraining_tp", 2),
    (LLM, "rope_scaling", {"type": "linear", "factor": 2.0}),
    (LLM, "rope_theta", None),
    (TOWER, "architectures", ["InternVisionModel"]),
    (TOWER, "architectures", None),
    (TOWER, "hidden_act", "gelu"),
    (TOWER, "image_size", "384"),
    (TOWER, "layer_norm_eps", 1e-5),
    (TOWER, "num_attention_heads", 5),
    (TOWER, "num_channels", 1),
    (TOWER, "num_hidden_layers", None),
    (TOWER, "patch_size", 385),
    (PIXELS, "image_mean", [0.48, 0.46, 0.41]),
    (PIXELS, "image_std", None),
    (PIXELS, "resample", 2),
    (PIXELS, "size", {"height": 336, "width": 336}),
    (PROJECTOR, "mm_projector_type", "linear"),
    (PROJECTOR, "mm_projector_type", "mlp2x_gelu"),
    (PROJECTOR, "mm_projector_type", "mlp_downsample_3x3_fix"),
    (PROJECTOR, "mm_projector_type", ["mlp_downsample"]),
    (PROJECTOR, "mm_projector_type", None),
]
OTHERS: list[tuple[str, str, object, str]] = [
    (ROOT, "dynamic_s2", True, "NVILA"),
    (ROOT, "image_encoder", {"_target_": "llava.model.encoders.BasicImageEncoder"}, "NVILA"),
    (ROOT, "video_encoder", {"_target_": "llava.model.encoders.BasicVideoEncoder"}, "NVILA"),
    (LLM, "architectures", ["Qwen2ForCausalLM"], "NVILA"),
    (ROOT, "s2", True, "several scales"),
    (ROOT, "ps3", True, "several scales"),
]


def changed(files: Files, file: str, changes: Mapping[str, object]) -> Files:
    return {**files, file: {**files[file], **changes}}


def parse(files: Files) -> VilaConfig:
    return parse_config(files.__getitem__)


@pytest.mark.parametrize(("file", "key", "value"), REFUSED)
def test_what_is_not_supported_is_refused_by_file_and_key(
    vila_files: Files, file: str, key: str, value: object
) -> None:
    where = "" if file == ROOT else f"{file}: "
    with pytest.raises(WeightsError, match=f"^{where}{key} is "):
        parse(changed(vila_files, file, {key: value}))


@pytest.mark.parametrize(("file", "key", "value", "said"), OTHERS)
def test_another_kind_of_vila_is_refused_with_what_to_take(
    vila_files: Files, file: str, key: str, value: object, said: str
) -> None:
    with pytest.raises(WeightsError, match=rf"{key} is .*{said}.*; take a"):
        parse(changed(vila_files, file, {key: value}))


@pytest.mark.parametrize("value", [False, None])
@pytest.mark.parametrize("key", ["s2", "dynamic_s2", "ps3", "video_encoder"])
def test_what_is_switched_off_is_not_refused(vila_files: Files, key: str, value: object) -> None:
    assert parse(changed(vila_files, ROOT, {key: value})) == parse(vila_files)


def test_what_is_absent_is_what_the_original_assumes(vila_files: Files) -> None:
    optional = ("s2", "num_video_frames", "image_aspect_ratio", "vision_resolution")
    root = {key: value for key, value in vila_files[ROOT].items() if key not in optional}
    assert parse({**vila_files, ROOT: root}) == parse(vila_files)


def test_the_tiny_checkpoint_is_read(vila_files: Files) -> None:
    config = parse(vila_files)
    assert (config.image_size_px, config.tokens_per_picture) == (384, 196)
    assert config.num_tower_layers == 2
    assert config.token_order == "column_major"
    assert (config.num_frames, config.context_length) == (8, 4096)
    assert config.eos_token_ids == {2}


@pytest.mark.parametrize("key", ["max_position_embeddings", "tokenizer_model_max_length"])
def test_the_smaller_bound_is_the_context(vila_files: Files, key: str) -> None:
    assert parse(changed(vila_files, LLM, {key: 2048})).context_length == 2048


@pytest.mark.parametrize("key", ["llm_cfg", "vision_tower_cfg", "mm_projector_cfg"])
def test_only_the_files_of_the_folders_count(vila_files: Files, key: str) -> None:
    root = {key: {"architectures": ["Other"], "hidden_size": 7, "mm_projector_type": "other"}}
    assert parse(changed(vila_files, ROOT, root)) == parse(vila_files)


@pytest.mark.parametrize("file", [LLM, TOWER, PIXELS, PROJECTOR])
def test_a_missing_file_is_named(copy_vila: Callable[[Files], Path], file: str) -> None:
    checkpoint = copy_vila({})
    (checkpoint / file).unlink()
    with pytest.raises(WeightsError, match=file):
        read_config(str(checkpoint))


@pytest.mark.parametrize("package", ["sentencepiece", "google.protobuf"])
def test_missing_packages_are_named_before_loading(
    copy_vila: Callable[[Files], Path], monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    path = str(copy_vila({}))
    monkeypatch.setitem(sys.modules, package, None)
    name = package.rpartition(".")[2]
    with pytest.raises(WeightsError, match=f"needs {name}; install"):
        read_config(path)
    with pytest.raises(WeightsError, match=f"needs {name}; install"):
        load_checkpoint(path, LoadOptions())
