"""Steps that one sequence takes by itself: what fails is a value, and its own matter."""

import logging
from collections.abc import Callable
from typing import TypeVar

from contracts.errors import RunnerError, ServiceError

logger = logging.getLogger(__name__)

T = TypeVar("T")


def attempted(step: Callable[[], T]) -> T | ServiceError:
    """What a step of one sequence gives, or why it failed."""
    try:
        return step()
    except ServiceError as exc:
        return exc
    except Exception:
        logger.exception("a sequence failed (server_error)")
        return RunnerError("the engine failed on this request")
