"""Whose work the engine does."""

from typing import Literal

WorkClass = Literal["chat", "upload", "alert"]
