"""Whose work the engine does."""

from typing import Literal, get_args

WorkClass = Literal["chat", "upload", "alert"]
WORK_CLASSES: tuple[WorkClass, ...] = get_args(WorkClass)
