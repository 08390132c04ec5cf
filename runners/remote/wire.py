"""What servers of OpenAI's API answer, as far as it is read; what else they say is passed over."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Byte = Annotated[int, Field(ge=0, le=255)]


class Wire(BaseModel):
    """A piece of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class WireAlternative(Wire):
    """A token that could stand there."""

    token: str
    logprob: Annotated[float, Field(le=1e-3)]  # rounding may put it above 0
    bytes: list[Byte] | None = None


class WireToken(WireAlternative):
    """The token that stands there, and the likeliest ones."""

    top_logprobs: list[WireAlternative] = []


class WireLogprobs(Wire):
    """Log-probabilities, one entry a token."""

    content: list[WireToken] | None = None


class WireText(Wire):
    """A message, or the next piece of one."""

    content: str | None = None


class WireChoice(Wire):
    """A choice, whole (``message``) or its next piece (``delta``)."""

    index: int = Field(default=0, ge=0)
    message: WireText = WireText()
    delta: WireText = WireText()
    logprobs: WireLogprobs | None = None
    finish_reason: str | None = None


class WirePrompt(Wire):
    """What the tokens of a prompt are; Lookout's words, and vLLM's."""

    cached_tokens: int | None = None
    text_tokens: int | None = None
    image_tokens: int | None = None
    video_tokens: int | None = None
    multimodal_tokens: dict[str, int] | None = None


class WireUsage(Wire):
    """Tokens of a request."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: WirePrompt | None = None


class WireError(Wire):
    """What went wrong."""

    message: str = ""
    type: str | None = None
    code: str | int | None = None


class WireAnswer(Wire):
    """A chat completion, or one chunk of it."""

    choices: list[WireChoice] = []
    usage: WireUsage | None = None
    error: WireError | str | None = None


class WireModel(Wire):
    """A model that is served."""

    id: str
    owned_by: str | None = None
    max_model_len: int | None = None


class WireModels(Wire):
    """The models that are served."""

    data: list[WireModel] | None = None


class WireState(Wire):
    """How another Lookout's model is."""

    state: str


class WireStatus(Wire):
    """How another Lookout is."""

    model: WireState


class WireProbe(Wire):
    """What another Lookout says a request costs."""

    prompt_tokens: int
    prompt_tokens_details: WirePrompt | None = None
    estimated: bool = False


class WireTokens(Wire):
    """vLLM's count of a prompt's tokens."""

    count: int
