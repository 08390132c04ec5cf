"""Which runner there is, by ``VLM_RUNNER``; only the chosen one is imported."""

from contracts.generation import ModelRunner
from contracts.settings import Settings


def open_runner(settings: Settings) -> ModelRunner:
    """The runner of these settings, not started.

    Raises:
        WeightsError: It cannot run this model; the message says why.
        SettingsError: It is not installed, or cannot follow a setting.
    """
    if settings.runner == "openai":
        from runners.openai_runner import OpenAIRunner

        return OpenAIRunner(settings)
    if settings.runner == "vllm":
        from runners.vllm_runner import VllmRunner

        return VllmRunner(settings)
    from runners.transformers_runner import TransformersRunner

    return TransformersRunner(settings)
