"""Rows of different lengths, together as alone: on a small decoder with and without windows."""

from collections.abc import Iterator
from random import Random

import numpy as np
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

from llava_custom.kv_rows import KvRows, capacity_for, has_known_layers
from llava_custom.kv_slab import LayerShape, Slab
from llava_custom.row_attention import reading

SIZES = {
    "vocab_size": 50, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "max_position_embeddings": 4096,
}  # fmt: skip
WINDOW = 70  # more than the smallest row, less than others


class Network:
    """transformers' own decoder; the reference reads one sequence at a time, without our rows."""

    def __init__(self, name: str) -> None:
        torch.manual_seed(3)
        if name == "qwen2":
            self.network = Qwen2ForCausalLM(Qwen2Config(**SIZES)).eval()
        elif name == "llama":  # as many keys as queries
            self.network = LlamaForCausalLM(
                LlamaConfig(**SIZES | {"num_key_value_heads": 4})
            ).eval()
        else:
            config = Gemma3TextConfig(**SIZES, sliding_window=WINDOW, query_pre_attn_scalar=8)
            config.layer_types = ["sliding_attention", "full_attention", "sliding_attention"]
            self.network = Gemma3ForCausalLM(config).eval()

    @property
    def has_no_windows(self) -> bool:
        """Whether its layers keep all tokens."""
        return not isinstance(self.network, Gemma3ForCausalLM)

    def read(self, token_ids: list[int]) -> tuple[DynamicCache, Tensor]:
        """A prompt's cache, and the logits (V,) after it."""
        kv_cache = DynamicCache(config=self.network.config)
        logits = self.network(torch.tensor([token_ids]), past_key_values=kv_cache).logits
        return kv_cache, logits[0, -1]

    def step(self, kv_rows: KvRows, token_ids: list[int]) -> Tensor:
        """Logits (B, V) after one more token of each row; not committed."""
        step = kv_rows.next_step()
        positions = torch.tensor([[kv_rows.num_tokens(row)] for row in kv_rows.order])
        with reading(self.network.config, step):
            ids = torch.tensor(token_ids)[:, None]
            logits: Tensor = self.network(ids, position_ids=positions, past_key_values=step).logits
            return logits[:, -1]


@pytest.fixture(params=["qwen2", "llama", "gemma3"], scope="module")
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tensors are tiny
    with torch.inference_mode():
        yield Network(request.param)
    torch.set_num_threads(num_threads)


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


def some_ids(random: Random, length: int) -> list[int]:
    return [random.randrange(50) for _ in range(length)]


def beginnings(random: Random) -> list[list[int]]:
    """Some of them begin alike, within and beyond a slab's smallest row."""
    first, second = some_ids(random, 300), some_ids(random, 200)
    return [[], first, first[:140], first[:200], first[:136] + second, second]


@pytest.mark.parametrize("is_sharing", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_rows_that_come_and_go_read_as_they_do_alone(
    network: Network, seed: int, is_sharing: bool
) -> None:
    random, kv_rows, texts = Random(seed), KvRows(), dict[int, list[int]]()
    common, num_shared = beginnings(random), 0
    for turn in range(50):
        while len(texts) < 2 or (len(texts) < 9 and random.random() < 0.3):
            text = random.choice(common) if is_sharing else []
            text = text + some_ids(random, random.choice([1, 5, 62, 63, 64, 69, 70, 71, 130, 300]))
            symbols = np.array(text) if is_sharing and random.random() < 0.8 else None
            added = kv_rows.add(
                network.read(text)[0], num_rows=random.choice([1, 1, 3]), symbols=symbols
            )
            texts |= {row: list(text) for row in added}
        if random.random() < 0.3:
            gone = random.sample(list(texts), random.randrange(1, len(texts)))
            kv_rows.remove(gone)
            texts = {row: text for row, text in texts.items() if row not in gone}
        num_shared += kv_rows.num_bytes_spared(texts) > 0
        new = {row: random.randrange(50) for row in texts}
        kv_rows.next_step()  # may change the order
        logits = network.step(kv_rows, [new[row] for row in kv_rows.order])
        kv_rows.commit()
        for row, ours in zip(kv_rows.order, logits, strict=True):
            texts[row].append(new[row])
            assert kv_rows.num_tokens(row) == len(texts[row])
            if turn % 10 == 9:
                assert_close(ours, network.read(texts[row])[1])
    assert (num_shared > 10) == (is_sharing and network.has_no_windows)


def test_a_row_outgrows_its_slab_and_its_window(network: Network) -> None:
    random, kv_rows = Random(9), KvRows()
    text = some_ids(random, 60)
    kv_rows.add(network.read(text)[0])
    for _ in range(100):
        text.append(random.randrange(50))
        logits = network.step(kv_rows, text[-1:])
        kv_rows.commit()
    assert_close(logits[0], network.read(text)[1])


def test_a_step_that_was_not_taken_can_be_taken_again(network: Network) -> None:
    kv_rows, text = KvRows(), [1, 2, 3]
    kv_rows.add(network.read(text)[0], num_rows=2)
    network.step(kv_rows, [7, 8])  # not committed
    logits = network.step(kv_rows, [9, 9])
    kv_rows.commit()
    for ours in logits:
        assert_close(ours, network.read([*text, 9])[1])


def test_a_long_row_does_not_lengthen_short_ones(network: Network) -> None:
    random, kv_rows = Random(1), KvRows()
    for length in (*[20] * 7, 1500):
        kv_rows.add(network.read(some_ids(random, length))[0], room=20)
    assert kv_rows.num_bytes(kv_rows.order) <= (7 * 64 + 1536) * kv_rows.bytes_per_token


def per_token(kv_rows: KvRows, num_bytes: int) -> float:
    return num_bytes / kv_rows.bytes_per_token


def test_what_rows_begin_with_is_held_once(network: Network) -> None:
    if not network.has_no_windows:
        pytest.skip("rows with windows share nothing")
    random, kv_rows, rows = Random(5), KvRows(), []
    beginning = some_ids(random, 500)
    texts = [beginning + some_ids(random, 20) for _ in range(8)]
    for text in texts:
        rows += kv_rows.add(network.read(text)[0], symbols=np.array(text))
    assert per_token(kv_rows, kv_rows.num_bytes(rows)) == pytest.approx(500 + 8 * 64, abs=20)
    spared = kv_rows.num_bytes_spared(rows)
    assert per_token(kv_rows, spared) == pytest.approx(7 * 500, abs=20)
    assert per_token(kv_rows, kv_rows.num_bytes(rows[:1])) == pytest.approx(64 + 500 / 8, abs=3)
    logits = network.step(kv_rows, [9] * 8)
    for row, ours in zip(kv_rows.order, logits, strict=True):
        assert_close(ours, network.read([*texts[rows.index(row)], 9])[1])
    kv_rows.remove(rows[1:])
    assert kv_rows.num_bytes_spared(rows[:1]) == 0
    assert per_token(kv_rows, kv_rows.num_bytes(rows[:1])) == pytest.approx(500 + 64, abs=20)
    kv_rows.remove(rows[:1])
    assert kv_rows.num_bytes(kv_rows.order) == 0


def test_choices_of_one_prompt_share_all_of_it(network: Network) -> None:
    if not network.has_no_windows:
        pytest.skip("rows with windows share nothing")
    random, kv_rows = Random(6), KvRows()
    text = some_ids(random, 300)
    rows = kv_rows.add(network.read(text)[0], num_rows=4, symbols=np.array(text))
    assert per_token(kv_rows, kv_rows.num_bytes(rows)) == 300 + 4 * 64
    network.step(kv_rows, [1, 2, 3, 4])  # not committed
    logits = network.step(kv_rows, [5, 6, 7, 8])
    for ours, token_id in zip(logits, [5, 6, 7, 8], strict=True):
        assert_close(ours, network.read([*text, token_id])[1])


def test_no_memory_for_a_shared_beginning_leaves_the_rows_as_they_were(network: Network) -> None:
    kv_rows, text = KvRows(), some_ids(Random(7), 200)
    kv_cache, symbols = network.read(text)[0], np.array(text)
    rows = kv_rows.add(kv_cache, symbols=symbols)
    with pytest.raises(RuntimeError, match="can't allocate"):
        kv_rows.add(kv_cache, num_rows=2, room=1 << 50, symbols=symbols)
    assert kv_rows.order == rows
    assert kv_rows.num_bytes_spared(rows) == 0
    assert_close(network.step(kv_rows, [9])[0], network.read([*text, 9])[1])


def test_memory_goes_with_its_rows(network: Network) -> None:
    kv_cache = network.read([1])[0]
    slab = Slab(64, LayerShape.all_of(kv_cache), max_rows=20)
    rows = [slab.new_row(1) for _ in range(17)]
    assert slab.num_allocated == 20
    for row in rows[2:]:
        slab.remove(row)
    assert slab.num_allocated < 8
    assert [row.index for row in slab.rows] == [0, 1]


def test_rows_take_at_most_half_more_than_they_need() -> None:
    assert [capacity_for(n) for n in (1, 64, 65, 1024, 1025, 1537, 10_000)] == [
        64, 64, 96, 1024, 1536, 2048, 12_288,
    ]  # fmt: skip
    for num_tokens in range(64, 20_000, 7):
        assert num_tokens <= capacity_for(num_tokens) <= 1.5 * num_tokens


def test_layers_of_another_kind_are_not_batched(network: Network) -> None:
    kv_cache = network.read([1])[0]
    assert has_known_layers(kv_cache)
    kv_cache.layers[0] = object()
    assert not has_known_layers(kv_cache)


def test_a_row_that_there_is_no_memory_for_leaves_the_others_as_they_were(
    network: Network,
) -> None:
    kv_rows, text = KvRows(), [1, 2, 3]
    kv_cache = network.read(text)[0]
    rows = kv_rows.add(kv_cache)
    with pytest.raises(RuntimeError, match="can't allocate"):
        kv_rows.add(kv_cache, num_rows=2, room=1 << 50)
    assert kv_rows.order == rows
    assert_close(network.step(kv_rows, [9])[0], network.read([*text, 9])[1])


def test_a_row_without_numbers_spoils_no_other(network: Network) -> None:
    kv_rows, text = KvRows(), [1, 2, 3]
    kv_cache, spoilt = network.read(text)[0], network.read([4] * 60)[0]
    for layer in spoilt.layers:
        layer.keys.fill_(torch.nan)
        layer.values.fill_(torch.nan)
    (first,) = kv_rows.add(kv_cache)
    gone = kv_rows.add(spoilt)
    longer = kv_rows.add(network.read([5] * 40)[0])
    kv_rows.remove(gone)  # the longer one takes its place
    kv_rows.add(kv_cache)  # and this one the longer one's
    kv_rows.add(spoilt)
    kv_rows.next_step()
    logits = network.step(kv_rows, [9] * 4)
    for row, ours in zip(kv_rows.order, logits, strict=True):
        if kv_rows.num_tokens(row) < 60:
            before = [5] * 40 if row in longer else text
            assert_close(ours, network.read([*before, 9])[1])
    assert first in kv_rows.order
