"""What a vision tower sees at once, and what its features are known by.

Visuals are seen as views that know nothing of each other: frames, pictures, tiles of a picture,
steps of a few frames. So what is computed of one holds wherever it comes up again.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from llava_custom.prompt import Visual


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the tower sees by itself.

    Attributes:
        key: Equal for equal pixels that are prepared and laid out in the same way.
        kind: Views of one kind go through the tower together.
        pixels: Prepares them, on the CPU; in the form that the family's ``see`` takes.
        num_pictures: How many pictures it counts as, where their number is bounded.
    """

    key: Hashable
    kind: Hashable
    pixels: Callable[[], Any]
    num_pictures: int = 1


class Eyes(Protocol):
    """Tower, projector and layout of one family."""

    def views(self, visual: Visual) -> Sequence[View]:
        """What the tower has to see of a picture or clip; reads pixels to tell them apart."""
        ...

    def see(self, views: Sequence[View]) -> Sequence[Tensor]:
        """The features of views of one kind, on the device; one after the other in memory."""
        ...

    def lay_out(self, visual: Visual, features: Sequence[Tensor]) -> Tensor:
        """A visual's tokens, shape (T, D), from the features of its views, in order."""
        ...
