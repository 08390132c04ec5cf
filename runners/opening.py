"""Which runner there is, by ``VLM_RUNNER``; only the chosen one is imported."""

from contracts.generation import ModelRunner
from contracts.settings import Settings


def open_runner(settings: Settings) -> ModelRunner:
    """The runner of these settings, not started.

    Raises:
        WeightsError: It cannot run this model; the message says why.
    """
    if settings.runner == "openai":
        from runners.openai_runner import OpenAIRunner

        return OpenAIRunner(settings)
    from runners.transformers_runner import TransformersRunner

    return TransformersRunner(settings)
