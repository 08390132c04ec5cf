"""What lies beside the weights of a checkpoint: tokenizer, template, how pictures are prepared."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoImageProcessor, AutoTokenizer, ProcessorMixin
from transformers.video_processing_utils import VideoProcessorMixin

from contracts.errors import WeightsError


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checkpoint in memory.

    Attributes:
        directory: Where its files are.
        network: transformers' model.
        tokenizer: transformers' fast tokenizer.
    """

    directory: Path
    network: Any
    tokenizer: Any

    @property
    def config(self) -> Any:  # noqa: ANN401 - transformers is untyped here
        """The network's configuration."""
        return self.network.config

    def token(self, token_id: int) -> str:
        """How the tokenizer spells an id of the configuration."""
        token: str | None = self.tokenizer.convert_ids_to_tokens(token_id)
        if token is None:
            raise WeightsError(f"config.json names token {token_id}, which tokenizer.json lacks")
        return token


def load_tokenizer(directory: Path) -> Any:  # noqa: ANN401 - transformers is untyped here
    """The checkpoint's tokenizer, of the fast kind.

    Raises:
        WeightsError: There is none, or it cannot be read.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory)
    except Exception as exc:  # of many libraries, with nothing narrower in common
        raise WeightsError(f"the tokenizer's files cannot be read: {first_line(exc)}") from exc
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise WeightsError("the tokenizer has no fast form; tokenizer.json is needed")
    return tokenizer


def load_image_processor(directory: Path) -> Any:  # noqa: ANN401 - transformers is untyped here
    """The checkpoint's image processor, on Pillow whether torchvision is there or not.

    Raises:
        WeightsError: Its configuration is missing or damaged.
    """
    try:
        return AutoImageProcessor.from_pretrained(directory, backend="pil")
    except Exception as exc:  # of many libraries, with nothing narrower in common
        raise WeightsError(f"preprocessor_config.json cannot be used: {first_line(exc)}") from exc


def read_video_settings(directory: Path) -> Mapping[str, Any]:
    """What the checkpoint says of its video processor, in whichever of its files.

    Raises:
        WeightsError: None of them says anything.
    """
    try:
        settings, _ = VideoProcessorMixin.get_video_processor_dict(directory)
    except (OSError, ValueError) as exc:
        raise WeightsError(f"video_preprocessor_config.json is missing: {first_line(exc)}") from exc
    return settings  # type: ignore[no-any-return]


def read_processor_settings(directory: Path) -> Mapping[str, Any]:
    """What processor_config.json says; the chat template is under ``chat_template``."""
    try:
        settings, _ = ProcessorMixin.get_processor_dict(directory)
    except (OSError, ValueError) as exc:
        raise WeightsError(f"processor_config.json cannot be read: {first_line(exc)}") from exc
    return settings  # type: ignore[no-any-return]


def find_template(directory: Path, tokenizer: Any, default: str | None) -> str:  # noqa: ANN401
    """The chat template: the processor's, else the tokenizer's, else the architecture's.

    Raises:
        WeightsError: There is none.
    """
    for found in (read_processor_settings(directory), vars(tokenizer)):
        template = found.get("chat_template")
        if isinstance(template, dict):
            template = template.get("default")
        if isinstance(template, str):
            return template
    if default is None:
        raise WeightsError("the checkpoint has no chat template; chat_template.jinja is needed")
    return default


def first_line(exc: Exception) -> str:
    """What another library complains of, in short."""
    line = str(exc).strip().partition("\n")[0]
    return f"{type(exc).__name__}: {line[:200]}"
