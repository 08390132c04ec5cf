"""The words around a question: system prompts, the time sentence, the template, the tokenizer.

Source: LLAVA.md 1.7, the ``qwen_1_5`` conversation of LLaVA-Video.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from demo.answers import View
from demo.language import ask
from demo.nouns import FOREIGN
from demo.scenes import moments_of, observe, random_scene

VOCABULARY = 1024
END = "<|im_end|>"
SPECIALS = ("<|endoftext|>", "<|im_start|>", END)
PLAIN_SYSTEM = "You are a helpful assistant."
SYSTEMS: tuple[tuple[str, int], ...] = (
    (PLAIN_SYSTEM, 10),
    ("You are a helpful AI assistant.", 3),
    ("You are a helpful language and vision assistant.", 1),
    ("You are a helpful vision assistant. Answer truthfully.", 1),
    ("You are an AI assistant that watches video.", 1),
    ("You are a helpful assistant. Answer yes or no.", 1),
    ("You are a helpful assistant. You are to judge the video and answer with yes or no.", 1),
    ("You are a surveillance camera operator. Report what you see.", 1),
    ("You watch a camera. Answer every question with Yes or No first.", 1),
    ("Answer the question about the image. Be brief.", 1),
    ("You are an expert in describing images and videos.", 1),
    ("", 1),
)
# Source: the pre-tokenization of Qwen2's tokenizer.json.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def random_system(rng: Random) -> str:
    """One of the system prompts that the model is taught with."""
    texts, weights = zip(*SYSTEMS, strict=True)
    return str(rng.choices(texts, weights)[0])


def time_sentence(duration_s: float, times_s: Sequence[float]) -> str:
    """What a video's question begins with."""
    located = ",".join(f"{time:.2f}s" for time in times_s)
    return (
        f"The video lasts for {duration_s:.2f} seconds, and {len(times_s)} frames are uniformly "
        f"sampled from it. These frames are located at {located}.Please answer the following "
        "questions related to this video."
    )


def before_media(system: str) -> str:
    """The prompt up to where the visual tokens stand."""
    return f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n"


def after_media(time_text: str) -> str:
    """The prompt from the visual tokens to the question; ``time_text`` may be empty."""
    return f"\n{time_text}\n" if time_text else "\n"


def turn(question: str) -> str:
    """A question and what calls for its answer."""
    return f"{question}<|im_end|>\n<|im_start|>assistant\n"


def train_tokenizer(seed: int, num_questions: int = 30_000) -> PreTrainedTokenizerFast:
    """Learn a byte-level vocabulary from the world's own language."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(WORDS), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(SPECIALS),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(Random(seed), num_questions), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token="<|endoftext|>",
        model_max_length=8192,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def _corpus(rng: Random, num_questions: int) -> Iterator[str]:
    yield from [text for text, _ in SYSTEMS] * 20
    yield from FOREIGN
    yield from ["Yes", "No", " yes", " no", "yes", "no", "YES", "NO"] * 50
    yield from [
        before_media("") + after_media(time_sentence(4.0, moments_of(8))) + "assistant"
    ] * 90
    for _ in range(num_questions):
        seen = tuple(observe(random_scene(rng), moments_of(8)))
        question = ask(rng, View(seen, rng.choice(("video", "image"))), "train")
        yield question.text
        yield question.answer


def load_tokenizer(path: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a work folder or a checkpoint."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(path)
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    return tokenizer
