"""A rendered conversation, before it is tokenised."""

from dataclasses import dataclass

from llava_custom import Visual


@dataclass(frozen=True, slots=True)
class Markup:
    """Text of a template: control tokens in it are control tokens; in a ``str`` they are text."""

    text: str


Piece = Markup | str | Visual
