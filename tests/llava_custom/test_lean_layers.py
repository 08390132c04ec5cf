"""A lean step is transformers' own step, and is taken where it can be alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    DynamicCache,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from llava_custom.kv_rows import KvRows
from llava_custom.language_model import LanguageModel
from llava_custom.lean_layers import LeanLayers
from llava_custom.packed_linear import pack_linears

SIZES = {
    "vocab_size": 50, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
}  # fmt: skip
FAR = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
}  # fmt: skip
NETWORKS: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "llama, scaled": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=FAR)),
    "llama, biased": lambda: LlamaForCausalLM(
        LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True, head_dim=16)
    ),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
}


def network_of(name: str, dtype: torch.dtype) -> Any:  # noqa: ANN401 - transformers is untyped
    return drawn_network(NETWORKS[name], dtype)


def drawn_network(make: Callable[[], Any], dtype: torch.dtype) -> Any:  # noqa: ANN401
    torch.manual_seed(3)
    network = make().eval()
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape)  # norms and biases, too
    return network.to(dtype)


def read(network: Any, length: int) -> DynamicCache:  # noqa: ANN401
    kv_cache = DynamicCache(config=network.config)
    network(torch.arange(length)[None] % 50, past_key_values=kv_cache)
    return kv_cache


def usual_steps(network: Any, length: int) -> Tensor:  # noqa: ANN401
    """Logits (3, V) of transformers' own steps after a prompt."""
    kv_cache = read(network, length)
    ids = [[[7]], [[9]], [[11]]]
    return torch.cat(
        [network(torch.tensor(one), past_key_values=kv_cache).logits[0] for one in ids]
    )


def lean_steps(network: Any, lengths: list[int]) -> Tensor:  # noqa: ANN401
    """Logits (B, 3, V) of lean steps of several prompts together."""
    language, rows = LanguageModel(network.model, network.lm_head), KvRows()
    for length in lengths:
        rows.add(read(network, length))
    found = []
    for token_id in (7, 9, 11):
        positions = torch.tensor([rows.num_tokens(row) for row in rows.order])
        token_ids = torch.full((len(lengths),), token_id)
        logits = language.decode_step(token_ids, positions, rows.next_step())
        places = [rows.order.index(row) for row in range(len(lengths))]
        found.append(logits[places])
        rows.commit()
    return torch.stack(found, dim=1)


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_a_lean_step_is_transformers_own(name: str, is_packed: bool) -> None:
    network, lengths = network_of(name, torch.float32), [1, 30, 64]
    assert LeanLayers.of(network.model) is not None
    usual = torch.stack([usual_steps(network, length) for length in lengths])
    if is_packed:
        pack_linears(network)
    ours = lean_steps(network, lengths)
    torch.testing.assert_close(ours, usual, rtol=0, atol=5e-5)
    assert torch.equal(ours.argmax(-1), usual.argmax(-1))


@torch.inference_mode()
def test_in_bfloat16_it_is_so_within_rounding() -> None:
    network = network_of("qwen2", torch.bfloat16)
    exact = usual_steps(network_of("qwen2", torch.float32), 30)
    usual_error = (usual_steps(network, 30).float() - exact).abs().max()
    error = (lean_steps(network, [30])[0] - exact).abs().max()
    assert error < 2 * usual_error


def test_layers_of_another_kind_take_their_own_step() -> None:
    layers = {"layer_types": ["full_attention"] * 3, "query_pre_attn_scalar": 8}
    gemma = Gemma3ForCausalLM(Gemma3TextConfig(**SIZES, **layers))
    assert LeanLayers.of(gemma.model) is None
    gelu = LlamaForCausalLM(LlamaConfig(**SIZES, hidden_act="gelu"))
    assert LeanLayers.of(gelu.model) is None
