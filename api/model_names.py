"""The names under which requests may ask for the model."""

from contracts.errors import ModelNotFound
from contracts.settings import Settings

VISION_SUFFIX = "-vision"  # a picker of one client only shows ids that have "vision" in them


def listed_names(settings: Settings) -> tuple[str, str]:
    """The names that ``/v1/models`` lists."""
    return settings.served_name, settings.served_name + VISION_SUFFIX


def check_model(name: object, settings: Settings) -> None:
    """Check that a request's ``model``, where it is a text, is the one that is served.

    Raises:
        ModelNotFound: It is another one; the message has the names there are.
    """
    listed = listed_names(settings)
    if isinstance(name, str) and name not in ("", *listed, *settings.model_aliases):
        raise ModelNotFound(f"model: expected one of {', '.join(listed)}, or none", param="model")
