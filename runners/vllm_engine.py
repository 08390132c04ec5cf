"""What is asked of vLLM's own classes: the engine, its parameters, its errors.

The one module that imports vLLM, when it is called: importing it takes seconds, and it is optional.
"""

import logging
from typing import Any

from contracts.errors import (
    ContextLengthExceeded,
    ModelUnavailable,
    QueueFull,
    RequestError,
    RunnerError,
    ServiceError,
)
from contracts.generation import SamplingParams
from contracts.settings import Settings
from runners.vllm_requests import Json, form_fields, sampling_fields

MAX_LOGGED = 300
QUANTIZATIONS = {"none": None, "nf4": "bitsandbytes"}

logger = logging.getLogger(__name__)


def open_engine(settings: Settings) -> Any:  # noqa: ANN401 - vLLM's
    """Start vLLM; blocks until the weights are loaded."""
    from vllm import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    chosen: dict[str, Any] = {
        "model": settings.model,
        "dtype": settings.dtype,
        "quantization": QUANTIZATIONS[settings.quantization],
        "tensor_parallel_size": settings.tensor_parallel,
        "disable_log_stats": True,
        **settings.vllm_args,
    }
    return AsyncLLM.from_engine_args(AsyncEngineArgs(**chosen))


async def rendered(
    engine: Any,  # noqa: ANN401 - vLLM's
    messages: list[Json],
    *,
    will_be_sent: bool,
) -> Any:  # noqa: ANN401 - likewise
    """A conversation in the checkpoint's template, tokenised, its pictures prepared.

    ``will_be_sent`` counts its pictures as known to vLLM's other process from now on.
    """
    from vllm.renderers.params import ChatParams

    params = ChatParams(chat_template_kwargs={"add_generation_prompt": True})
    _, (prompt,) = await engine.renderer.render_chat_async(
        [messages], params, skip_mm_cache=not will_be_sent
    )
    return prompt


def vllm_params(sampling: SamplingParams, *, max_tokens: int) -> Any:  # noqa: ANN401 - vLLM's
    """VLLM's ``SamplingParams``; outputs come as pieces, not whole each time."""
    import vllm
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    fields = sampling_fields(sampling, max_tokens=max_tokens)
    if sampling.form is not None:
        fields["structured_outputs"] = StructuredOutputsParams(**form_fields(sampling.form))
    return vllm.SamplingParams(output_kind=RequestOutputKind.DELTA, **fields)


def our_error(exc: Exception) -> ServiceError:
    """VLLM's error in our words; its own may quote what people wrote."""
    from vllm.exceptions import MaxQueuedTokensError, QueueOverflowError, VLLMClientError
    from vllm.v1.engine.exceptions import EngineDeadError

    if isinstance(exc, EngineDeadError):
        return ModelUnavailable("vLLM has stopped; the service must be restarted")
    if isinstance(exc, QueueOverflowError | MaxQueuedTokensError):
        return QueueFull("vLLM has no room for another request; try again in a few seconds")
    if isinstance(exc, VLLMClientError | ValueError):
        if "context length" in str(exc):
            return ContextLengthExceeded(
                "the prompt is longer than the model's context; send less text or fewer frames"
            )
        logger.warning("vLLM refuses a request: %s", str(exc)[:MAX_LOGGED])
        parameter = getattr(exc, "parameter", None)
        name = f" ({parameter})" if parameter else ""
        return RequestError(f"vLLM refuses the request{name}; the log has its reason")
    logger.error("vLLM failed on a request (server_error)", exc_info=exc)
    return RunnerError("the engine failed on this request")
