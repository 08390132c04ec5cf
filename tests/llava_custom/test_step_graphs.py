"""A step in padded pieces on fixed buffers is the lean step; only replaying them needs a GPU."""

from collections.abc import Callable, Sequence
from itertools import pairwise
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

from llava_custom.kv_rows import KvRows
from llava_custom.language_model import LanguageModel
from llava_custom.lean_layers import LeanLayers
from llava_custom.step_graphs import SIZES, Piece, StepGraphs, sizes_up_to, unrecorded
from llava_custom.step_proof import Recording
from llava_custom.step_trials import OwnToken

SIZE = {
    "vocab_size": 50, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
}  # fmt: skip
NETWORKS: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZE)),
    "llama, biased": lambda: LlamaForCausalLM(
        LlamaConfig(**SIZE, attention_bias=True, mlp_bias=True, head_dim=16)
    ),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZE)),
}
CPU = torch.device("cpu")
MAX_ROWS = 6


def network_of(name: str) -> Any:  # noqa: ANN401 - transformers is untyped
    torch.manual_seed(5)
    network = NETWORKS[name]().eval()
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape)
    return network


def lean_layers(network: Any) -> LeanLayers:  # noqa: ANN401
    layers = LeanLayers.of(network.model)
    assert layers is not None
    return layers


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401
    return network_of(request.param)


def language_of(network: Any, *, with_pieces: bool) -> LanguageModel:  # noqa: ANN401
    language = LanguageModel(network.model, network.lm_head)
    if with_pieces:
        language.recording = Recording(StepGraphs(lean_layers(network), MAX_ROWS, CPU, unrecorded))
    return language


def prompts_of(network: Any, lengths: Sequence[int]) -> list[DynamicCache]:  # noqa: ANN401
    kv_caches = [DynamicCache(config=network.config) for _ in lengths]
    for length, kv_cache in zip(lengths, kv_caches, strict=True):
        network(torch.arange(length)[None] * 7 % 50, past_key_values=kv_cache)
    return kv_caches


def answers(language: LanguageModel, prompts: Sequence[DynamicCache]) -> list[Tensor]:
    """Logits of steps whose rows come and go, so that sizes follow in another order each time."""
    rows, found = KvRows(), []
    for turn, (before, now) in enumerate(pairwise((0, 1, 3, 2, 6, 5, 7, 1, 4))):
        for number in range(before, now):
            rows.add(prompts[number])
        rows.remove(rows.order[now:])
        token_ids = torch.arange(now) * 3 + turn
        positions = torch.tensor([rows.num_tokens(row) for row in rows.order])
        found.append(language.decode_step(token_ids, positions, rows.next_step()))
        rows.commit()
    return found


def made_up(num_rows: int, seed: int) -> tuple[Tensor, Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(50, (num_rows,), generator=numbers) for _ in range(2))  # type: ignore[return-value]


@torch.inference_mode()
def test_pieces_give_what_the_layers_give_in_any_order_of_sizes(network: Any) -> None:  # noqa: ANN401
    prompts = prompts_of(network, [1, 9, 30, 2, 64, 5, 17])
    usual = answers(language_of(network, with_pieces=False), prompts)
    found = answers(language_of(network, with_pieces=True), prompts)
    for ours, theirs in zip(found, usual, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
        assert torch.equal(ours.argmax(-1), theirs.argmax(-1))


@pytest.mark.parametrize("num_rows", range(1, MAX_ROWS + 1))
@torch.inference_mode()
def test_rows_behind_the_batch_are_read_by_nobody(network: Any, num_rows: int) -> None:  # noqa: ANN401
    graphs = StepGraphs(lean_layers(network), MAX_ROWS, CPU, unrecorded)
    clean = graphs(*made_up(num_rows, 1), OwnToken())
    buffers = graphs._buffers
    for buffer in (buffers.hidden, buffers.query, buffers.key, buffers.value, buffers.seen):
        buffer.fill_(torch.nan)
    assert torch.equal(graphs(*made_up(num_rows, 1), OwnToken()), clean)


@torch.inference_mode()
def test_what_a_step_gave_stays_when_the_next_one_is_taken(network: Any) -> None:  # noqa: ANN401
    graphs = StepGraphs(lean_layers(network), MAX_ROWS, CPU, unrecorded)
    first = graphs(*made_up(4, 1), OwnToken())
    kept = first.clone()
    second = graphs(*made_up(3, 2), OwnToken())
    assert torch.equal(first, kept)
    assert torch.equal(graphs(*made_up(3, 2), OwnToken()), second)


@torch.inference_mode()
def test_a_step_is_replayed_and_not_computed_anew(network: Any) -> None:  # noqa: ANN401
    replayed: list[int] = []
    recorded: list[Piece] = []

    def record(piece: Piece) -> Piece:
        number = len(recorded)
        recorded.append(piece)

        def replay() -> None:
            replayed.append(number)
            piece()

        return replay

    graphs = StepGraphs(lean_layers(network), MAX_ROWS, CPU, record)
    num_pieces = SIZE["num_hidden_layers"] + 1
    assert graphs.sizes == (1, 2, 4, 6)
    assert len(recorded) == num_pieces * len(graphs.sizes)
    graphs(*made_up(3, 1), OwnToken())
    assert replayed == [num_pieces + index for index in range(num_pieces)]  # after those of 6
    replayed.clear()
    graphs(*made_up(7, 1), OwnToken())  # more than a batch may have: the layers' own step
    graphs.keep([1])
    graphs(*made_up(3, 1), OwnToken())
    assert replayed == []


def test_sizes_end_with_the_largest_batch() -> None:
    assert sizes_up_to(1) == (1,)
    assert sizes_up_to(5) == (1, 2, 4, 5)
    assert sizes_up_to(64) == SIZES[: SIZES.index(64) + 1]
    assert sizes_up_to(256) == SIZES
    assert sizes_up_to(1024) == SIZES


@pytest.mark.parametrize("max_rows", [1, 7, 64, 1024])
@torch.inference_mode()
def test_every_batch_has_the_next_size(max_rows: int) -> None:
    graphs = StepGraphs(lean_layers(network_of("llama")), max_rows, CPU, unrecorded)
    for num_rows in range(1, max_rows + 1):
        size = graphs.size_for(num_rows)
        fitting = [one for one in graphs.sizes if one >= num_rows]
        assert size == min(fitting, default=None)
    assert graphs.size_for(max_rows + 1) is None


@torch.inference_mode()
def test_in_bfloat16_a_full_size_is_bit_by_bit_the_layers_own(network: Any) -> None:  # noqa: ANN401
    layers = lean_layers(network.bfloat16())
    graphs = StepGraphs(layers, 4, CPU, unrecorded)
    for size in graphs.sizes:
        rows = made_up(size, size)
        assert torch.equal(graphs(*rows, OwnToken()), layers(*rows, OwnToken()))
