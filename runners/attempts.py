"""Steps that may fail: what one sequence or job does by itself, and what may be done again."""

import logging
from collections.abc import Callable
from typing import TypeVar

from contracts.errors import RunnerError, ServiceError
from llava_custom.device_memory import is_out_of_memory

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Shortage:
    """The device ran out of memory."""


Failure = ServiceError | Shortage


def attempted(step: Callable[[], T]) -> T | ServiceError:
    """What a step of one sequence gives, or why it failed."""
    try:
        return step()
    except ServiceError as exc:
        return exc
    except Exception:
        logger.exception("a sequence failed (server_error)")
        return RunnerError("the engine failed on this request")


def repeated(step: Callable[[], T]) -> T:
    """What a step gives, at its second try where the first one fails.

    Args:
        step: May be taken again after it failed.

    Raises:
        Exception: It failed twice, or ran out of memory: that asks for more than another try.
    """
    try:
        return step()
    except Exception as exc:
        if is_out_of_memory(exc):
            raise
        logger.exception("a step failed and is taken again (server_error)")
    return step()


def failure_of(step: Callable[[], None], name: str) -> Failure | None:
    """Why a step of a job failed; ``None`` when it did not.

    When this returns, the step's frames are gone, and with them the references to its tensors.
    """
    try:
        step()
    except ServiceError as exc:
        return exc
    except Exception as exc:
        if is_out_of_memory(exc):
            return Shortage()
        logger.exception("%s: reading failed (server_error)", name)
        return RunnerError("the engine failed on this request")
    return None
