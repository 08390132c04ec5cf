"""What a server says of itself: which program it is, and which of its models is ours. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from contracts.errors import ModelUnavailable
from runners.model_root import model_root
from runners.remote.wire import WireModel

ServerKind = Literal["lookout", "vllm", "other"]
KINDS: dict[str | None, ServerKind] = {"lookout": "lookout", "vllm": "vllm"}


@dataclass(frozen=True, slots=True)
class ServerModel:
    """The model that is asked.

    Attributes:
        name: As the server knows it.
        kind: The program that serves it, as far as it matters.
        context_length: Tokens of prompt and answer together, if told.
    """

    name: str
    kind: ServerKind = "other"
    context_length: int | None = None

    @property
    def root(self) -> str:
        """Its name without a path of the server's machine."""
        return model_root(self.name)

    @property
    def server_limits_answers(self) -> bool:
        """Whether the server cuts ``max_tokens`` to the room in its context by itself."""
        return self.kind == "lookout"


def choose_model(wanted: str | None, listed: Sequence[WireModel]) -> ServerModel:
    """Our model among those that a server lists.

    Args:
        wanted: Its name; ``None`` is the first one.
        listed: In the server's order. Servers that load what they are asked for may not list it.

    Raises:
        ModelUnavailable: It is not there.
    """
    if wanted is None:
        if not listed:
            raise ModelUnavailable("the model's server lists no model; name one with VLM_MODEL")
        return _of(listed[0])
    for one in listed:
        if one.id == wanted:
            return _of(one)
    if any(one.owned_by in KINDS for one in listed):  # these list all they have
        raise ModelUnavailable(
            "the model's server does not have the model of VLM_MODEL; the log lists those it has"
        )
    return ServerModel(wanted)


def _of(listed: WireModel) -> ServerModel:
    return ServerModel(listed.id, KINDS.get(listed.owned_by, "other"), listed.max_model_len)
