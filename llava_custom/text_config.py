"""What a configuration says of its language model; Qwen2 and Llama name it alike."""

from collections.abc import Mapping

from llava_custom.config_fields import ConfigFields

SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
)
DIVISORS = (("num_attention_heads", "hidden_size"), ("num_key_value_heads", "num_attention_heads"))
NUMBERS = ("rms_norm_eps", "rope_theta")
OPTIONS = ("tie_word_embeddings", "bos_token_id", "eos_token_id")


def text_options(fields: ConfigFields) -> Mapping[str, object]:
    """Keyword arguments of transformers' ``Qwen2Config`` or ``LlamaConfig``.

    Raises:
        WeightsError: A key is missing or holds what no language model has; names it.
    """
    sizes = {key: fields.size(key) for key in SIZES}
    for part, whole in DIVISORS:
        if sizes[whole] % sizes[part]:
            raise fields.refusal(part, f"it has to divide {whole} {sizes[whole]}")
    numbers = {key: fields.number(key) for key in NUMBERS}
    options = {key: fields.values[key] for key in OPTIONS if fields.values.get(key) is not None}
    return {**sizes, **numbers, "tie_word_embeddings": False, **options}


def context_length(fields: ConfigFields) -> int:
    """Tokens of prompt and answer together; the tokenizer's bound counts, too."""
    positions = fields.size("max_position_embeddings")
    return min(positions, fields.size("tokenizer_model_max_length", positions))
