"""A tiny LLaVA-1.5 in transformers' layout: random weights, drawn alike every time.

27.6 million parameters, enough for steps that read memory and small enough for two cores. Output
rows of tokens that are no ASCII text are zero, so greedy answers never end early and every token
of theirs is text: servers can be compared by their chunks.
"""

import random
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

SIZE_PX = 112
PATCH_PX = 14
VOCABULARY = 1000
HIDDEN_SIZE = 512
CONTEXT_LENGTH = 2048
SEED = 0
STD = 0.05  # large enough for logits that differ clearly in bfloat16
SPECIAL = ("<unk>", "<s>", "</s>", "<pad>", "<image>")
PROMPTS = (
    "USER: What is here? ASSISTANT: These pictures are images of one video in order, frames taken "
    "at 0.00s, 1.00s, 2.00s, 3.00s, 4.00s, 5.00s, 6.00s, 7.00s. What is here?"
)
TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] if part['type'] == 'image' %}{{ '<image>\\n' }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] + ' ' }}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def write_checkpoint(directory: Path) -> Path:
    """Write it as transformers 5 does, unless it is there."""
    if not directory.exists():
        scratch = directory.with_name(directory.name + ".partial")
        shutil.rmtree(scratch, ignore_errors=True)
        tokenizer = make_tokenizer()
        _processor(tokenizer).save_pretrained(scratch)
        network = LlavaForConditionalGeneration(_config(tokenizer))
        draw_weights(network, tokenizer)
        network.to(torch.bfloat16).save_pretrained(scratch)
        scratch.rename(directory)
    return directory


def write_vllm_copy(directory: Path, source: Path) -> Path:
    """The same with the vision tower's tensors named as vLLM expects them, unless it is there."""
    if not directory.exists():
        scratch = directory.with_name(directory.name + ".partial")
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(source, scratch)
        file = scratch / "model.safetensors"
        tensors = {vllm_name(name): tensor for name, tensor in load_file(file).items()}
        save_file(tensors, file, {"format": "pt"})
        scratch.rename(directory)
    return directory


def vllm_name(name: str) -> str:
    """What vLLM 0.32 calls a tensor."""
    tower = "vision_tower."
    return name.replace(tower, f"{tower}vision_model.", 1) if "vision_model" not in name else name


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE, trained on made-up words and on what prompts say."""
    drawn = random.Random(SEED)
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    words = ["".join(drawn.choices(syllables, k=drawn.randint(1, 3))) for _ in range(5000)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, special=True) for token in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(words), *[PROMPTS] * 100], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=["<image>"],
        model_max_length=CONTEXT_LENGTH,
    )


def draw_weights(network: nn.Module, tokenizer: PreTrainedTokenizerFast) -> None:
    """Norms are ones, biases zeros, everything else normal; see the module on output rows."""
    generator = torch.Generator().manual_seed(SEED)
    for name, weight in network.named_parameters():
        if weight.ndim > 1 or "class_embedding" in name:
            weight.data = torch.randn(weight.shape, generator=generator) * STD
        else:
            weight.data.fill_(0.0 if name.endswith("bias") else 1.0)
    head: Tensor = network.get_parameter("lm_head.weight").data
    head[[index for index in range(len(head)) if not _is_word(tokenizer, index)]] = 0


def _is_word(tokenizer: PreTrainedTokenizerFast, token_id: int) -> bool:
    """Whether a token is a space and letters."""
    text = str(tokenizer.decode([token_id]))
    return text.startswith(" ") and text[1:].isalpha() and text.isascii()


def _config(tokenizer: PreTrainedTokenizerFast) -> LlavaConfig:
    tower = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=SIZE_PX,
        patch_size=PATCH_PX,
        projection_dim=128,
    )
    language = LlamaConfig(
        hidden_size=HIDDEN_SIZE,
        intermediate_size=1376,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=8,
        vocab_size=len(tokenizer),
        max_position_embeddings=CONTEXT_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlavaConfig(
        vision_config=tower,
        text_config=language,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(SIZE_PX // PATCH_PX) ** 2,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )


def _processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    side = {"height": SIZE_PX, "width": SIZE_PX}
    return LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": SIZE_PX}, crop_size=side),
        tokenizer=tokenizer,
        patch_size=PATCH_PX,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        image_token="<image>",
        num_additional_image_tokens=1,
    )
