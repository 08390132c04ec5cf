"""Small tokenizers with the rules of real ones, trained on a few sentences."""

import json
from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SENTENCES = [
    "What is in front of the camera? A red ball rolls to the left.",
    "USER: Please describe this image in detail. ASSISTANT: It shows two cats.",
    "user assistant system You are a helpful assistant.",
    "These 4 images are frames of one video, in order, taken at 0.00s, 1.00s.",
    "Frame from 00:01: twenty-four <1.5 seconds>\n\n",
]

Vocabulary = tuple[dict[str, int], list[tuple[str, str]]]


def byte_level(size: int = 400) -> Vocabulary:
    """Vocabulary and merges of the GPT-2 kind: Qwen, SmolLM."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    return _vocabulary(tokenizer)


def byte_fallback(specials: Sequence[str], size: int = 500) -> Vocabulary:
    """Vocabulary and merges of the sentencepiece kind: Llama, Gemma; specials come first."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    first = [*specials, *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=first, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    return _vocabulary(tokenizer)


def _vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [(left, right) for left, right in model["merges"]]
