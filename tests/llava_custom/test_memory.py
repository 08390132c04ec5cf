from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from transformers import LlavaOnevisionForConditionalGeneration

from contracts.documentation import with_block
from llava_custom import LoadOptions, VisionLanguageModel, load_checkpoint
from llava_custom.documentation import llava_video_7b, memory_table
from llava_custom.memory import GIB, MemoryNeed, count_memory, measured_bytes
from llava_custom.quantization import Quantization, Scheme, quantised_layers

bitsandbytes = pytest.importorskip("bitsandbytes")

Copy = Callable[[Mapping[str, object]], Path]
Load = Callable[[Mapping[str, object], LoadOptions], VisionLanguageModel]


@pytest.fixture(scope="module")
def need_7b() -> Callable[[Scheme], MemoryNeed]:
    network = llava_video_7b()
    return lambda scheme: count_memory(network, scheme, torch.bfloat16)


def test_the_7b_has_the_parameters_it_is_known_for(
    need_7b: Callable[[Scheme], MemoryNeed],
) -> None:
    need = need_7b(Scheme("nf4"))
    assert need.num_parameters == 8_030_348_832
    counts = {(part.name, part.precision): part.num_parameters for part in need.parts}
    assert counts[("language model", "nf4")] == 6_525_288_448
    assert counts[("embeddings", "bfloat16")] == counts[("head", "bfloat16")] == 544_997_376
    assert counts[("vision tower", "bfloat16")] == 397_747_744
    assert counts[("projector", "bfloat16")] == 16_980_992 + 3584  # and the newline


@pytest.mark.parametrize(
    ("scheme", "gib"),
    [
        (Scheme("nf4"), 5.94),
        (Scheme("nf4", double_quant=False), 6.22),
        (Scheme("int8"), 8.89),
        (Scheme("none"), 14.96),
    ],
)
def test_the_7b_needs_what_was_counted(
    need_7b: Callable[[Scheme], MemoryNeed], scheme: Scheme, gib: float
) -> None:
    need = need_7b(scheme)
    assert need.num_bytes / GIB == pytest.approx(gib, abs=0.005)
    assert need.kv_bytes_per_token == 56 * 1024


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("quantization", "double_quant"),
    [("none", True), ("nf4", True), ("nf4", False), ("int8", True)],
)
def test_what_is_counted_is_what_a_loaded_network_holds(
    copy_checkpoint: Copy, quantization: Quantization, double_quant: bool, dtype: torch.dtype
) -> None:
    options = LoadOptions(quantization=quantization, double_quant=double_quant, dtype=dtype)
    network = load_checkpoint(
        str(copy_checkpoint({})), options
    ).network  # its first forward repacks
    with torch.device("meta"):
        bare = LlavaOnevisionForConditionalGeneration(network.config)
    need = count_memory(bare, options.scheme, dtype)
    assert need.num_bytes == measured_bytes(network)


@pytest.mark.parametrize(
    ("quantization", "class_name"), [("nf4", "Linear4bit"), ("int8", "Linear8bitLt")]
)
def test_the_layers_that_count_as_quantised_are_those_that_are(
    load: Load, quantization: Quantization, class_name: str
) -> None:
    network = load({}, LoadOptions(quantization=quantization)).network
    with torch.device("meta"):
        bare = LlavaOnevisionForConditionalGeneration(network.config)
    layer_class = getattr(bitsandbytes.nn, class_name)
    loaded = {name for name, layer in network.named_modules() if isinstance(layer, layer_class)}
    assert quantised_layers(bare).keys() == loaded


def test_one_token_more_takes_what_was_counted(load: Load) -> None:
    model = load({}, LoadOptions())
    kv_cache = model.new_kv_cache()
    model.prefill(model.embed(model.plan(()), []), kv_cache)
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in kv_cache.layers)
    assert held == model.kv_bytes_per_token * kv_cache.get_seq_length()


def test_the_readme_s_table_is_up_to_date() -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    assert with_block(readme, "memory", memory_table()) == readme
    assert memory_table() in readme
