"""Original VILA1.5 checkpoints, three folders, onto transformers' Llama and SigLIP classes.

Source: LLAVA.md 3.2.
"""

from functools import partial
from operator import add
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, SiglipVisionConfig, SiglipVisionModel

from contracts.media import FramePolicy
from llava_custom.checkpoint import generation_eos_ids, read_json, read_shapes, read_tensors
from llava_custom.language_model import LanguageModel
from llava_custom.load_options import LoadOptions
from llava_custom.load_report import LoadReport
from llava_custom.model import VisionLanguageModel
from llava_custom.network_loading import WeightPlan, announce, loading, plan_weights
from llava_custom.prequantised import checkpoint_shapes, stored_scheme
from llava_custom.prompt_tokenizer import PromptTokenizer
from llava_custom.quantization import Scheme
from llava_custom.vila_chat import ANSWER_ENDS, PROMPT_BEGINS, render
from llava_custom.vila_config import LLM, PROJECTOR, TOWER, VilaConfig, parse_config
from llava_custom.vila_encoder import VilaEncoder
from llava_custom.vila_network import (
    VilaNetwork,
    build_network,
    build_projector,
    original_name,
)
from llava_custom.vila_tokenizer import check_packages, load_tokenizer
from llava_custom.weights import check_loaded, check_shapes

ARCHITECTURE = "LlavaLlamaModel"


def read_vila_config(directory: Path) -> VilaConfig:
    """Read and check the configuration, and that its tokenizer can be read here."""
    config = parse_config(partial(read_json, directory))
    check_packages()
    return config


def load_vila(directory: Path, options: LoadOptions) -> VisionLanguageModel:
    """Load a VILA1.5 checkpoint in its original layout; see ``load_checkpoint``."""
    config = read_vila_config(directory)
    tokenizer = load_tokenizer(directory, config.text["vocab_size"])
    controls = (PROMPT_BEGINS, ANSWER_ENDS)
    prompt_tokenizer = PromptTokenizer(tokenizer, controls, has_dummy_prefix=True)
    end_ids = {*generation_eos_ids(directory, LLM), prompt_tokenizer.id_of(ANSWER_ENDS)}
    network: Any
    network, report = _load_network(directory, config, options)
    return VisionLanguageModel(
        render=partial(render, tokens_per_picture=config.tokens_per_picture),
        prompt_tokenizer=prompt_tokenizer,
        eyes=VilaEncoder(network, config),
        vision_chunk=options.vision_chunk,
        language=LanguageModel(network.language_model.model, network.language_model.lm_head),
        tokenizer=tokenizer,
        context_length=config.context_length,
        frame_policy=FramePolicy(config.num_frames, (config.image_size_px, config.image_size_px)),
        eos_token_ids=config.eos_token_ids | end_ids,
        network=network,
        report=report,
    )


def _load_network(
    directory: Path, config: VilaConfig, options: LoadOptions
) -> tuple[VilaNetwork, LoadReport]:
    stored = stored_scheme(read_json(directory, f"{LLM}config.json"))
    with torch.device("meta"):
        bare = build_network(config)
    _check_weights(directory, config, bare, stored)
    bare.drop_unused(config.num_tower_layers)
    plan = plan_weights(bare, options, stored=stored, text=config.text)
    announce(plan)
    # The tower first: what is spread afterwards takes the room that is left.
    tower = _load_tower(directory, config, plan, bare.model["vision_tower"])
    projector = build_projector(config)
    projector.load_state_dict(read_tensors(directory, PROJECTOR))
    llm = _load_llm(directory, config, plan, bare.language_model)
    network = VilaNetwork(llm, tower, projector.to(options.device, options.dtype))
    network.drop_unused(config.num_tower_layers)
    return network, plan.finish(network, ARCHITECTURE)


def _check_weights(
    directory: Path, config: VilaConfig, bare: VilaNetwork, stored: Scheme | None
) -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    for folder in (LLM, TOWER, PROJECTOR):
        shapes |= read_shapes(directory, folder)
    optional = {f"{LLM}lm_head.weight"} if config.text["tie_word_embeddings"] else ()
    check_shapes(shapes, checkpoint_shapes(bare, original_name, stored, shapes), optional)


def _load_tower(directory: Path, config: VilaConfig, plan: WeightPlan, bare: nn.Module) -> Any:  # noqa: ANN401
    with loading(bare, plan.progress):
        tower, loaded = SiglipVisionModel.from_pretrained(
            directory / TOWER,
            config=SiglipVisionConfig(**config.tower),
            **plan.arguments(is_quantised=False),
        )
    check_loaded(loaded, partial(add, TOWER))
    return tower


def _load_llm(directory: Path, config: VilaConfig, plan: WeightPlan, bare: nn.Module) -> Any:  # noqa: ANN401
    with loading(bare, plan.progress):
        llm, loaded = LlamaForCausalLM.from_pretrained(
            directory / LLM, config=plan.config(LlamaConfig(**config.text)), **plan.arguments()
        )
    check_loaded(loaded, partial(add, LLM))
    return llm
