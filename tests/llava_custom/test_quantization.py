from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from contracts.chat import ChatMessage, TextPart, VideoPart
from contracts.errors import WeightsError
from contracts.media import Clip, Frame
from llava_custom import LoadOptions, VisionLanguageModel, load_checkpoint
from llava_custom.quantization import Quantization

bitsandbytes = pytest.importorskip("bitsandbytes")

Load = Callable[[Mapping[str, object], LoadOptions], VisionLanguageModel]


def all_logits(model: VisionLanguageModel) -> Tensor:
    """Logits of every position of a prompt with a short clip, shape (T, V)."""
    pixels = np.random.default_rng(1).integers(0, 256, (2, 48, 80, 3), dtype=np.uint8)
    frames = tuple(Frame(rgb, float(index)) for index, rgb in enumerate(pixels))
    clip = VideoPart(Clip(frames, 2.0, 1.0, 2, 80, 48, "h264", 0.0, 2.0, "default"))
    prompt = model.plan((ChatMessage("user", (clip, TextPart("What happens?"))),))
    embedded = model.embed(prompt, [model.encode(visual) for visual in prompt.visuals])
    return model.language.logits(
        model.language.hidden_states(embedded.inputs_embeds, model.new_kv_cache())[0]
    )


def quantised_layers(model: VisionLanguageModel, layer_class: type) -> list[str]:
    layers = model.network.named_modules()
    return [name for name, layer in layers if isinstance(layer, layer_class)]


@pytest.mark.parametrize(
    ("quantization", "class_name", "least_similarity"),
    [("nf4", "Linear4bit", 0.97), ("int8", "Linear8bitLt", 0.999)],
)
def test_the_language_model_alone_is_quantised(
    load: Load, quantization: Quantization, class_name: str, least_similarity: float
) -> None:
    quantised = load({}, LoadOptions(quantization=quantization))
    names = quantised_layers(quantised, getattr(bitsandbytes.nn, class_name))
    assert len(names) == 7 * 2
    assert all(name.startswith("model.language_model.layers.") for name in names)
    exact, rough = all_logits(load({}, LoadOptions())), all_logits(quantised)
    assert torch.cosine_similarity(exact.flatten(), rough.flatten(), dim=0) > least_similarity


def test_four_bits_are_nf4_quantised_twice(load: Load) -> None:
    model = load({}, LoadOptions(quantization="nf4"))
    config = model.network.config.quantization_config
    assert (config.bnb_4bit_quant_type, config.bnb_4bit_use_double_quant) == ("nf4", True)
    assert config.bnb_4bit_compute_dtype == torch.bfloat16


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_a_quantised_model_steps(load: Load, quantization: Quantization) -> None:
    model = load({}, LoadOptions(quantization=quantization))
    kv_cache = model.new_kv_cache()
    embedded = model.embed(model.plan(()), [])
    model.prefill(embedded, kv_cache)
    position = torch.tensor([embedded.next_position])
    logits = model.decode_step(torch.tensor([65]), position, kv_cache)
    assert logits.shape == (1, 272)
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_size": 96}, "hidden_size"),
        ({"intermediate_size": 100}, "intermediate_size"),
        ({"num_key_value_heads": 1}, "width of keys"),
    ],
)
def test_sizes_that_break_four_bits_on_a_cpu_are_refused_at_load(
    copy_checkpoint: Callable[[Mapping[str, object]], Path],
    changes: Mapping[str, object],
    said: str,
) -> None:
    with pytest.raises(WeightsError, match=said):
        load_checkpoint(str(copy_checkpoint(changes)), LoadOptions(quantization="nf4"))
