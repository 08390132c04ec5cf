"""Prompts that are read through lean layers, alone and side by side, are as transformers reads."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    DynamicCache,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from llava_custom.embedded import Embedded
from llava_custom.language_model import LanguageModel
from llava_custom.lean_reading import Stretch
from llava_custom.packed_linear import pack_linears
from tests.llava_custom.test_lean_layers import NETWORKS, SIZES, drawn_network

WINDOW = 16
LONG = {
    "rope_type": "longrope", "rope_theta": 10000.0, "factor": 4.0, "short_factor": [1.0] * 4,
    "long_factor": [1.0, 2.0, 3.0, 4.0], "original_max_position_embeddings": 32,
}  # fmt: skip
KINDS: dict[str, Callable[[], Any]] = {
    **NETWORKS,
    "llama, long": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=LONG)),
    "qwen2, windows": lambda: Qwen2ForCausalLM(
        Qwen2Config(**SIZES, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1)
    ),
}


def prompt(network: Any, length: int, seed: int = 0) -> Embedded:  # noqa: ANN401 - untyped
    ids = torch.randint(50, (1, length), generator=torch.Generator().manual_seed(seed))
    return Embedded.in_order(network.model.embed_tokens(ids))


def usual(network: Any, embedded: Embedded) -> tuple[Tensor, DynamicCache]:  # noqa: ANN401
    """Logits (V,) after a prompt that transformers read, and its keys and values."""
    kv_cache = DynamicCache(config=network.config)
    logits = network(inputs_embeds=embedded.inputs_embeds, past_key_values=kv_cache).logits
    return logits[0, -1], kv_cache


def assert_alike(left: DynamicCache, right: DynamicCache) -> None:
    for one, other in zip(left.layers, right.layers, strict=True):
        torch.testing.assert_close(one.keys, other.keys, rtol=0, atol=5e-5)
        torch.testing.assert_close(one.values, other.values, rtol=0, atol=5e-5)
        assert one.get_seq_length() == other.get_seq_length()


@pytest.fixture(params=KINDS)
def network(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401
    return drawn_network(KINDS[request.param], torch.float32)


@pytest.mark.parametrize("is_packed", [False, True])
@torch.inference_mode()
def test_a_prompt_is_read_as_transformers_reads_it(network: Any, is_packed: bool) -> None:  # noqa: ANN401
    prompts = [prompt(network, length) for length in (1, 2, WINDOW, 50)]
    expected = [usual(network, one) for one in prompts]
    if is_packed:
        pack_linears(network)
    language = LanguageModel(network.model, network.lm_head)
    assert language.reads_together
    for one, (logits, kv_cache) in zip(prompts, expected, strict=True):
        held = language.new_kv_cache()
        torch.testing.assert_close(language.prefill(one, held)[0], logits, rtol=0, atol=5e-5)
        assert_alike(held, kv_cache)


@torch.inference_mode()
def test_prompts_side_by_side_are_read_as_each_alone(network: Any) -> None:  # noqa: ANN401
    """Some are read from their beginnings, some go on, by one token or by many."""
    language = LanguageModel(network.model, network.lm_head)
    lengths, numbers_held = (1, 40, 12, 50, 30, 23), (0, 0, 0, 35, 29, 3)
    prompts = [prompt(network, length, seed) for seed, length in enumerate(lengths)]
    expected = [usual(network, one) for one in prompts]
    caches = [language.new_kv_cache() for _ in prompts]
    stretches = []
    for one, held, kv_cache in zip(prompts, numbers_held, caches, strict=True):
        if held:
            language.prefill(one.stretch(0, held), kv_cache)
        stretches.append(Stretch(one.stretch(held, len(one)), kv_cache))
    found = language.prefill_together(stretches)
    for logits, held, (usual_logits, kv_cache) in zip(found, caches, expected, strict=True):
        torch.testing.assert_close(logits, usual_logits, rtol=0, atol=5e-5)
        assert_alike(held, kv_cache)


@torch.inference_mode()
def test_what_was_written_of_a_prompt_holds_no_memory_of_others(network: Any) -> None:  # noqa: ANN401
    language = LanguageModel(network.model, network.lm_head)
    caches = [language.new_kv_cache() for _ in range(2)]
    prompts = [prompt(network, length) for length in (5, 9)]
    language.prefill_together([Stretch(*pair) for pair in zip(prompts, caches, strict=True)])
    for layer in caches[0].layers:
        assert layer.keys.untyped_storage().nbytes() == layer.keys.nbytes
        assert layer.values.untyped_storage().nbytes() == layer.values.nbytes


@torch.inference_mode()
def test_in_bfloat16_it_is_so_within_rounding() -> None:
    network = drawn_network(NETWORKS["qwen2"], torch.bfloat16)
    exact, _ = usual(drawn_network(NETWORKS["qwen2"], torch.float32), prompt(network, 50))
    expected, _ = usual(network, prompt(network, 50))
    language = LanguageModel(network.model, network.lm_head)
    found = language.prefill(prompt(network, 50), language.new_kv_cache())[0]
    assert (found - exact).abs().max() < 2 * (expected - exact).abs().max()


def test_an_attention_that_was_asked_for_is_kept() -> None:
    network = NETWORKS["llama"]()
    network.set_attn_implementation("eager")
    assert not LanguageModel(network.model, network.lm_head).reads_together
