"""VILA1.5-3b at its published sizes, without weights."""

from collections.abc import Mapping

import pytest
import torch

from llava_custom.memory import GIB, MemoryNeed, count_memory
from llava_custom.quantization import Quantization, Scheme
from llava_custom.vila_config import VilaConfig, parse_config
from llava_custom.vila_network import VilaNetwork, build_network

Files = Mapping[str, Mapping[str, object]]

PUBLISHED: Files = {
    "llm/config.json": {
        "hidden_size": 2560,
        "intermediate_size": 6912,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
        "num_key_value_heads": 20,
        "vocab_size": 32000,
    },
    "vision_tower/config.json": {
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
    },
}


@pytest.fixture(scope="module")
def config(vila_files: Files) -> VilaConfig:
    return parse_config(lambda name: {**vila_files[name], **PUBLISHED.get(name, {})})


@pytest.fixture(scope="module")
def network(config: VilaConfig) -> VilaNetwork:
    with torch.device("meta"):
        network = build_network(config)
    network.drop_unused(config.num_tower_layers)
    return network


def need(network: VilaNetwork, quantization: Quantization) -> MemoryNeed:
    return count_memory(network, Scheme(quantization), torch.bfloat16)


def test_the_config_is_accepted(config: VilaConfig) -> None:
    assert (config.num_tower_layers, config.tokens_per_picture) == (26, 196)


@pytest.mark.parametrize(("quantization", "gib"), [("nf4", 2.3), ("none", 5.8)])
def test_the_weights_take_what_the_readme_says(
    network: VilaNetwork, quantization: Quantization, gib: float
) -> None:
    assert round(need(network, quantization).num_bytes / GIB, 1) == gib


def test_a_full_context_takes_what_the_readme_says(
    network: VilaNetwork, config: VilaConfig
) -> None:
    per_token = need(network, "nf4").kv_bytes_per_token
    assert per_token * config.context_length / GIB == 1.25


def test_four_bits_are_the_language_model_s_alone(network: VilaNetwork) -> None:
    parts = need(network, "nf4").parts
    assert {part.name for part in parts if part.precision == "nf4"} == {"language model"}
