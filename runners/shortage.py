"""What is said to a request that the device has no memory for.

Knows nothing of queues. Numbers are counted from the cache of keys and values; activations are
bounded by the chunks of prefill, whatever the prompt's length.
"""

import torch

from contracts.errors import OutOfMemory
from contracts.generation import PromptTokens
from llava_custom.device_memory import free_bytes


def out_of_memory(
    tokens: PromptTokens, *, num_choices: int, kv_bytes_per_token: int, device: torch.device
) -> OutOfMemory:
    """The refusal, with what was asked and what fits; release memory before.

    Args:
        tokens: Of the prompt.
        num_choices: Answers, each of which keeps the prompt's keys and values.
        kv_bytes_per_token: Memory of one token of one answer.
        device: Whose free memory counts.
    """
    fitting = free_bytes(device) // (kv_bytes_per_token * num_choices)
    choices = f" for {num_choices} answers" if num_choices > 1 else ""
    return OutOfMemory(
        f"the device has no memory for the {tokens.total} tokens of this prompt ({tokens.text} "
        f"text, {tokens.image} image, {tokens.video} video){choices}; the keys and values of about "
        f"{fitting} tokens fit beside what is loaded; send {_less(tokens, num_choices)}"
    )


def _less(tokens: PromptTokens, num_choices: int) -> str:
    wishes = {
        "fewer frames": tokens.video,
        "fewer or smaller pictures": tokens.image,
        "less text": tokens.text,
    }
    largest = max(wishes, key=lambda wish: wishes[wish])
    return f"{largest}, or ask for fewer answers" if num_choices > 1 else largest
