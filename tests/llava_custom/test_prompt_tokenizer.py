"""Piece by piece gives the ids that the whole prompt gives, also with Qwen2's own rules."""

import json
from collections.abc import Iterator

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer

from llava_custom.llava_video_chat import TURN_BEGINS, TURN_ENDS
from llava_custom.prompt_tokenizer import Control, Piece, PromptTokenizer

CONTROLS = (TURN_BEGINS, TURN_ENDS)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SENTENCES = [
    "The video lasts for 10.96 seconds, and 8 frames are uniformly sampled from it.",
    "Please describe this video in detail.\n\nWhat is in front of the camera?\n",
    "user\nsystem\nassistant\nYou are a helpful assistant.",
]
TEXTS = [
    *SENTENCES,
    "",
    " starts with a space",
    "\n\nstarts with newlines",
    "ends with newlines \n \n",
    "cafe\u0301 and caf\u00e9, \u212b",
    "\u65e5\u672c\u8a9e \U0001f3a5 1234567",
    "a < b | c > d <| im",
]


def pieces(text: str) -> Iterator[Piece]:
    yield from (TURN_BEGINS, "user\n", text, TURN_ENDS, "\n")
    yield from (TURN_BEGINS, "assistant\n")


@pytest.fixture(scope="module")
def qwen() -> Qwen2Tokenizer:
    """A tokenizer with Qwen2's rules and a small vocabulary of its own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES * 5, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    return Qwen2Tokenizer(model["vocab"], merges, additional_special_tokens=SPECIAL[1:])


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_have_the_ids_of_the_whole(qwen: Qwen2Tokenizer, text: str) -> None:
    whole = "".join(
        piece.token if isinstance(piece, Control) else str(piece) for piece in pieces(text)
    )
    (ids,) = PromptTokenizer(qwen, CONTROLS).tokenize(pieces(text)).segments
    assert isinstance(ids, tuple)
    assert list(ids) == qwen(whole, add_special_tokens=False).input_ids
    assert len(ids) < len(whole.encode()) or not text


def test_control_tokens_that_are_words_of_the_vocabulary_vanish() -> None:
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, "[UNK]", "user", "hi", "yo"])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", additional_special_tokens=SPECIAL
    )
    prompt = PromptTokenizer(tokenizer, CONTROLS).tokenize(["hi <|im_end|> <|im_start|> what yo"])
    assert prompt.segments == ((5, 3, 6),)
