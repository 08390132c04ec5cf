import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from contracts.chat import ChatMessage, TextPart
from contracts.errors import WeightsError
from llava_custom import LoadOptions, VisionLanguageModel, load_checkpoint
from llava_custom.memory import measured_bytes
from llava_custom.quantization import Quantization
from llava_custom.quantize import quantize

bitsandbytes = pytest.importorskip("bitsandbytes")

Copy = Callable[[Mapping[str, object]], Path]

ROOT = Path(__file__).resolve().parents[2]
QUESTION = (ChatMessage("user", (TextPart("What is this?"),)),)
BF16 = torch.bfloat16


def logits(model: VisionLanguageModel) -> Tensor:
    """Of every position of a short prompt."""
    embedded = model.embed(model.plan(QUESTION), [])
    hidden = model.language.hidden_states(embedded.inputs_embeds, model.new_kv_cache())
    return model.language.logits(hidden)


def layers(model: VisionLanguageModel, class_name: str) -> list[str]:
    layer_class = getattr(bitsandbytes.nn, class_name)
    return [name for name, one in model.network.named_modules() if isinstance(one, layer_class)]


@pytest.mark.parametrize(
    ("quantization", "double_quant", "dtype", "class_name"),
    [
        ("nf4", True, torch.float32, "Linear4bit"),
        ("nf4", True, BF16, "Linear4bit"),
        ("nf4", False, BF16, "Linear4bit"),
        ("int8", True, BF16, "Linear8bitLt"),
    ],
)
def test_what_was_written_is_what_would_have_been_loaded(
    copy_checkpoint: Copy,
    tmp_path: Path,
    quantization: Quantization,
    double_quant: bool,
    dtype: torch.dtype,
    class_name: str,
) -> None:
    source, target = str(copy_checkpoint({})), tmp_path / "smaller"
    options = LoadOptions(quantization=quantization, double_quant=double_quant, dtype=dtype)
    quantize(source, target, options)
    at_once = load_checkpoint(source, options)
    written = load_checkpoint(str(target), LoadOptions(dtype=dtype))
    assert written.report.need == at_once.report.need
    assert measured_bytes(written.network) == written.report.need.num_bytes
    assert len(layers(written, class_name)) == 7 * 2
    assert layers(written, class_name) == layers(at_once, class_name)
    torch.testing.assert_close(logits(written), logits(at_once), rtol=0, atol=0)


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_the_type_of_the_rest_may_be_another_when_it_is_loaded(
    copy_checkpoint: Copy, tmp_path: Path, quantization: Quantization
) -> None:
    target = tmp_path / "smaller"
    quantize(str(copy_checkpoint({})), target, LoadOptions(quantization=quantization, dtype=BF16))
    model = load_checkpoint(str(target), LoadOptions())
    kept = [weight for weight in model.network.parameters() if weight.is_floating_point()]
    assert {weight.dtype for weight in kept} == {torch.float32}
    assert logits(model).isfinite().all()


def test_the_target_holds_the_original_s_other_files(copy_checkpoint: Copy, tmp_path: Path) -> None:
    source, target = copy_checkpoint({}), tmp_path / "smaller"
    quantize(str(source), target, LoadOptions(quantization="nf4", dtype=BF16))
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        assert (target / name).read_bytes() == (source / name).read_bytes()
    config = json.loads((target / "config.json").read_text())
    assert config.pop("quantization_config")["quant_method"] == "bitsandbytes"
    assert config.pop("torch_dtype") == "bfloat16"
    original = json.loads((source / "config.json").read_text())
    del original["torch_dtype"]
    assert config == original
    assert {path.name for path in target.glob("*.safetensors*")} == {"model.safetensors"}
    (plain := tmp_path / "plain").mkdir()
    assert target.stat().st_mode == plain.stat().st_mode
    weights, config_file = target / "model.safetensors", target / "config.json"
    assert weights.stat().st_mode == config_file.stat().st_mode


def test_tied_embeddings_are_written_once(copy_checkpoint: Copy, tmp_path: Path) -> None:
    source, target = copy_checkpoint({"tie_word_embeddings": True}), tmp_path / "smaller"
    leave_out(source / "model-00003-of-00003.safetensors", "lm_head.weight")
    options = LoadOptions(quantization="nf4")
    quantize(str(source), target, options)
    assert "lm_head.weight" not in load_file(target / "model.safetensors")
    at_once, written = load_checkpoint(str(source), options), load_checkpoint(str(target), options)
    torch.testing.assert_close(logits(written), logits(at_once), rtol=0, atol=0)


def test_a_target_with_something_in_it_is_left_alone(copy_checkpoint: Copy, tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.mkdir()
    (target / "notes.txt").write_text("mine")
    with pytest.raises(WeightsError, match="not empty"):
        quantize(str(copy_checkpoint({})), target, LoadOptions(quantization="nf4"))
    assert [path.name for path in target.iterdir()] == ["notes.txt"]


def test_an_empty_target_is_filled(copy_checkpoint: Copy, tmp_path: Path) -> None:
    target = tmp_path / "empty"
    target.mkdir()
    quantize(str(copy_checkpoint({})), target, LoadOptions(quantization="int8"))
    assert (target / "config.json").exists()


def test_a_failure_leaves_nothing_behind(copy_checkpoint: Copy, tmp_path: Path) -> None:
    source = copy_checkpoint({})
    (source / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(WeightsError, match="missing or damaged"):
        quantize(str(source), tmp_path / "smaller", LoadOptions(quantization="nf4"))
    (source / "generation_config.json").write_text("{}")
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def leave_out(file: Path, key: str) -> None:
    """Write a file of weights again without one of them."""
    tensors = load_file(file)
    del tensors[key]
    file.unlink()
    save_file(tensors, file, metadata={"format": "pt"})


@pytest.fixture
def prequantised(copy_checkpoint: Copy, tmp_path: Path) -> Path:
    """The tiny checkpoint in nf4."""
    target = tmp_path / "smaller"
    quantize(str(copy_checkpoint({})), target, LoadOptions(quantization="nf4", dtype=BF16))
    return target


def test_a_quantised_source_is_refused(prequantised: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="quantised already"):
        quantize(str(prequantised), tmp_path / "again", LoadOptions(quantization="nf4"))


def test_another_quantization_than_the_stored_one_is_refused(prequantised: Path) -> None:
    load_checkpoint(str(prequantised), LoadOptions(quantization="nf4", double_quant=False))
    with pytest.raises(WeightsError, match=r"int8 was asked for.*stored in nf4"):
        load_checkpoint(str(prequantised), LoadOptions(quantization="int8"))


def test_another_method_is_refused(copy_checkpoint: Copy) -> None:
    source = copy_checkpoint({"quantization_config": {"quant_method": "awq", "bits": 4}})
    with pytest.raises(WeightsError, match=r"quant_method 'awq'.*llava_custom.quantize"):
        load_checkpoint(str(source), LoadOptions())


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("model.layers.1.mlp.up_proj.weight.absmax", "missing: "),
        ("model.layers.1.mlp.up_proj.weight.quant_state.bitsandbytes__nf4", "missing: "),
        ("model.layers.1.mlp.up_proj.weight", "missing: "),
    ],
)
def test_a_missing_scale_is_named(prequantised: Path, key: str, said: str) -> None:
    leave_out(prequantised / "model.safetensors", key)
    with pytest.raises(WeightsError, match=f"{said}{key}"):
        load_checkpoint(str(prequantised), LoadOptions())


def test_a_weight_of_another_size_is_named(prequantised: Path) -> None:
    file, key = prequantised / "model.safetensors", "model.layers.0.mlp.up_proj.weight"
    tensors = load_file(file)
    save_file({**tensors, key: tensors[key][:-1]}, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=rf"wrong shape: {key} \(4095, 1\)"):
        load_checkpoint(str(prequantised), LoadOptions())


def test_plain_weights_that_say_they_are_quantised_are_refused(
    prequantised: Path, copy_checkpoint: Copy, tmp_path: Path
) -> None:
    plain = next(path for path in tmp_path.iterdir() if path != prequantised)
    shutil.copy(prequantised / "config.json", plain / "config.json")
    with pytest.raises(WeightsError, match=r"missing: .*absmax"):
        load_checkpoint(str(plain), LoadOptions())


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "llava_custom.quantize", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_command_writes_what_loads(copy_checkpoint: Copy, tmp_path: Path) -> None:
    source, target = str(copy_checkpoint({})), str(tmp_path / "smaller")
    options = ("--quantization", "nf4", "--no-double-quant", "--dtype", "float32")
    done = run_command(source, target, *options)
    assert done.returncode == 0, done.stderr
    scheme = load_checkpoint(target, LoadOptions()).report.need.scheme
    assert (scheme.quantization, scheme.double_quant) == ("nf4", False)
    again = run_command(source, target)
    assert again.returncode == 1
    assert again.stderr.strip().endswith("name another target")
