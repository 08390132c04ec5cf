"""What does not fit is refused before anything is answered."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from contracts.errors import WeightsError
from contracts.settings import Settings
from llava_custom import LoadOptions
from runners.hub import ARCHITECTURES
from runners.hub.model import HubModel
from runners.loading import check_model, load_model
from runners.transformers_runner import TransformersRunner
from tests.runners.hub.families import Family
from tests.runners.hub.greedy import embedded, logits_of
from tests.runners.hub.media import user
from tests.runners.hub.tiny_llava import llava_15

Change = Callable[[dict[str, Tensor]], None]


def refusal(path: Path, options: LoadOptions | None = None) -> str:
    with pytest.raises(WeightsError) as caught:
        load_model(str(path), options or LoadOptions())
    return str(caught.value)


@pytest.fixture
def copy(path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(path, tmp_path / "copy"))


def change_weights(directory: Path, change: Change) -> None:
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    save_file(tensors, directory / "model.safetensors", {"format": "pt"})


def change_json(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def behead(tensors: dict[str, Tensor]) -> None:
    for name in [name for name in tensors if "lm_head" in name]:
        del tensors[name]


def a_language_weight(tensors: dict[str, Tensor]) -> str:
    return next(name for name in tensors if name.endswith("layers.1.mlp.up_proj.weight"))


def test_a_missing_tensor_is_named(copy: Path) -> None:
    change_weights(copy, lambda tensors: tensors.__delitem__(a_language_weight(tensors)))
    assert "missing: model." in refusal(copy)
    assert "layers.1.mlp.up_proj.weight" in refusal(copy)


def test_a_tensor_too_many_is_named(copy: Path) -> None:
    change_weights(copy, lambda tensors: tensors.update({"model.extra.weight": torch.zeros(2)}))
    assert re.search(r"unexpected: model\.(language_model\.)?extra\.weight", refusal(copy))


@pytest.mark.parametrize("quantization", ["none", "nf4", "int8"])
def test_a_tensor_of_a_wrong_shape_is_named(copy: Path, quantization: str) -> None:
    def change(tensors: dict[str, Tensor]) -> None:
        name = a_language_weight(tensors)
        tensors[name] = tensors[name].T.contiguous()

    change_weights(copy, change)
    options = LoadOptions(quantization=quantization)  # type: ignore[arg-type]
    assert "layers.1.mlp.up_proj" in refusal(copy, options)


def test_a_broken_weight_file_is_refused(copy: Path) -> None:
    (copy / "model.safetensors").write_bytes(b"broken")
    assert "weights" in refusal(copy)


def test_an_unusable_configuration_is_refused(copy: Path) -> None:
    change_json(copy / "config.json", vision_config="none")
    assert "config.json" in refusal(copy)


def test_without_a_tokenizer_it_is_refused(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    assert "tokenizer" in refusal(copy)


def test_without_a_preprocessor_it_is_refused(copy: Path) -> None:
    (copy / "preprocessor_config.json").unlink()
    assert "preprocessor_config.json" in refusal(copy)


def test_an_answer_ends_where_generate_ends_it(copy: Path) -> None:
    change_json(copy / "generation_config.json", eos_token_id=[7, 8])
    assert load_model(str(copy), LoadOptions()).eos_token_ids == {7, 8}


def test_tied_embeddings_need_no_head(copy: Path, model: HubModel) -> None:
    if model.network.config.tie_word_embeddings:
        pytest.skip("this family's are tied anyway")
    change_json(copy / "config.json", tie_word_embeddings=True)
    change_weights(copy, behead)
    tied = load_model(str(copy), LoadOptions())
    assert isinstance(tied, HubModel)
    embeds = tied.network.get_input_embeddings().weight
    assert tied.network.lm_head.weight.data_ptr() == embeds.data_ptr()


def test_a_checkpoint_in_several_files_loads(copy: Path, model: HubModel) -> None:
    tensors = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    names, weight_map = list(tensors), dict[str, str]()
    for index, part in enumerate((names[::2], names[1::2])):
        file = f"model-{index}.safetensors"
        save_file({name: tensors[name] for name in part}, copy / file, {"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    index_file = copy / "model.safetensors.index.json"
    index_file.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    sharded = load_model(str(copy), LoadOptions())
    assert isinstance(sharded, HubModel)
    ours, theirs = (logits_of(m, embedded(m, user("Hi")), 99)[0] for m in (sharded, model))
    torch.testing.assert_close(ours, theirs)


def test_a_picture_of_the_wrong_size_is_refused_at_start(tmp_path: Path) -> None:
    path = llava_15(tmp_path / "llava")
    change_json(path / "preprocessor_config.json", crop_size={"height": 28, "width": 28})
    assert "takes pictures of 42 x 42" in refusal(path)


def test_without_a_template_llava_has_its_own(tmp_path: Path) -> None:
    model = load_model(str(llava_15(tmp_path / "llava", template=None)), LoadOptions())
    (ids,) = model.plan((user("Hello!"),)).segments
    assert isinstance(ids, tuple)
    assert model.tokenizer.decode(ids) == "<s> USER: Hello! ASSISTANT:"


def test_an_unknown_architecture_is_refused_with_all_that_are_known(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["OtherForCausalLM"]}')
    with pytest.raises(WeightsError, match="OtherForCausalLM") as caught:
        TransformersRunner(Settings(model=str(tmp_path)))
    assert "LlavaQwenForCausalLM" in str(caught.value)
    assert all(name in str(caught.value) for name in ARCHITECTURES)


def test_a_known_architecture_passes_the_cheap_test(family: Family, path: Path) -> None:
    check_model(str(path))
    assert family.name in path.name
