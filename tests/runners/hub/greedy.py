"""A model's own greedy answer, without the engine."""

import torch

from contracts.chat import ChatMessage
from llava_custom import Embedded
from runners.hub.model import HubModel


def embedded(model: HubModel, *messages: ChatMessage) -> Embedded:
    """A conversation, ready to be read."""
    prompt = model.plan(messages)
    return model.embed(prompt, [model.encode(visual, lambda: False) for visual in prompt.visuals])


def logits_of(model: HubModel, prompt: Embedded, max_tokens: int) -> list[torch.Tensor]:
    """Logits after the prompt, read in stretches, and after two steps from there."""
    kv_cache = model.new_kv_cache()
    for stretch in prompt.split(max_tokens):
        logits = model.prefill(stretch, kv_cache)
    found = [logits]
    for position in (prompt.next_position, prompt.next_position + 1):
        found.append(model.decode_step(found[-1].argmax(-1), torch.tensor([position]), kv_cache))
    return found
