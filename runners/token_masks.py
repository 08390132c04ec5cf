"""What says which tokens an answer may go on with. Knows nothing of what is behind it."""

from typing import Protocol

from torch import Tensor


class TokenMask(Protocol):
    """The tokens that one sequence may draw next. Not thread-safe."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing but the end may follow."""
        ...

    def apply(self, logits: Tensor) -> Tensor:
        """The logits (V,), minus infinity where a token may not be drawn; not modified."""
        ...

    def accept(self, token_id: int) -> None:
        """Go on after the drawn token."""
        ...
