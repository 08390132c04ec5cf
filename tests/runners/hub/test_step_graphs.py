"""A family whose decoder has lean layers steps alike in recorded pieces."""

import pytest
import torch
from torch import Tensor

from llava_custom.kv_rows import KvRows
from llava_custom.step_graphs import StepGraphs, unrecorded
from llava_custom.step_proof import Recording
from runners.hub.model import HubModel
from tests.runners.hub.families import Family
from tests.runners.hub.greedy import embedded
from tests.runners.hub.media import user

LEAN = {"llava-1.5", "llava-onevision", "llava-next-video", "smolvlm"}
CPU = torch.device("cpu")


def steps_of(model: HubModel) -> Tensor:
    """Logits (2, 3, V) of two steps of three rows, greedy."""
    kv_cache, rows = model.new_kv_cache(), KvRows()
    prompt = embedded(model, user("Where is it?"))
    token_ids = model.prefill(prompt, kv_cache).argmax(-1).expand(3)
    rows.add(kv_cache, num_rows=3)
    found = []
    for position in (prompt.next_position, prompt.next_position + 1):
        positions = torch.full((3,), position)
        found.append(model.decode_step(token_ids, positions, rows.next_step()))
        token_ids = found[-1].argmax(-1)
        rows.commit()
    return torch.stack(found)


def test_recorded_pieces_give_the_same_logits(model: HubModel, family: Family) -> None:
    decoder = model._decoder
    layers = decoder._lean_layers
    assert (layers is not None) == (family.name in LEAN)
    if layers is None:
        pytest.skip("its decoder takes its own step")
    usual = steps_of(model)
    decoder.recording = Recording(StepGraphs(layers, 4, CPU, unrecorded))
    try:
        torch.testing.assert_close(steps_of(model), usual, rtol=0, atol=1e-5)
    finally:
        decoder.recording = Recording(None)
