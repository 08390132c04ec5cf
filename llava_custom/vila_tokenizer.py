"""The tokenizer of a VILA1.5 checkpoint, from a bare sentencepiece model."""

import importlib.util
from pathlib import Path
from typing import Any

from transformers import LlamaTokenizer

from contracts.errors import WeightsError
from llava_custom.prompt_tokenizer import check_vocabulary
from llava_custom.vila_config import LLM

FILE_NAME = "tokenizer.model"
PACKAGES = {"sentencepiece": "sentencepiece", "protobuf": "google.protobuf"}


def check_packages() -> None:
    """Refuse to go on without what reads a sentencepiece model.

    transformers would say in the middle of loading that tiktoken is missing.

    Raises:
        WeightsError: Names the packages that are missing.
    """
    missing = [name for name, module in PACKAGES.items() if not _is_installed(module)]
    if missing:
        raise WeightsError(
            f"VILA's {FILE_NAME} needs {' and '.join(missing)}; install requirements.txt"
        )


def load_tokenizer(directory: Path, vocab_size: object) -> Any:  # noqa: ANN401 - transformers is untyped
    """Load transformers' tokenizer of the checkpoint; see ``check_packages`` first.

    Raises:
        WeightsError: Its file is missing or damaged, or it has tokens without an embedding.
    """
    if not (directory / LLM / FILE_NAME).exists():
        # Llama-3-VILA1.5 brings tokenizer.json instead, and was trained with another template.
        raise WeightsError(
            f"{LLM}{FILE_NAME} is missing; supported are VILA1.5 checkpoints that speak vicuna_v1, "
            "like VILA1.5-3b"
        )
    try:
        tokenizer = LlamaTokenizer.from_pretrained(directory / LLM)
    except Exception as exc:  # what the readers of three formats raise
        raise WeightsError(f"{LLM}{FILE_NAME} is damaged") from exc
    check_vocabulary(tokenizer, vocab_size)
    return tokenizer


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package it would be in
        return False
