"""What is served, as metrics and the status say it."""

from dataclasses import dataclass

from api.deps import ServiceDeps


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What is served, and whether it answers."""

    name: str
    runner: str
    quantization: str
    device: str
    version: str
    is_ready: bool


def served_model(deps: ServiceDeps) -> ServedModel:
    """As it was loaded; before that, as the settings ask for it."""
    settings, card = deps.settings, deps.runner.card
    return ServedModel(
        name=settings.served_name,
        runner=settings.runner,
        quantization=(card and card.quantization) or settings.quantization,
        device=(card and card.device) or settings.device,
        version=deps.version,
        is_ready=deps.runner.state == "ready",
    )
