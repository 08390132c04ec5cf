"""What a context leaves for an answer. Pure."""

from contracts.errors import ContextLengthExceeded
from contracts.generation import PromptTokens


def room_in(tokens: PromptTokens, context_length: int) -> int:
    """Tokens that are left for an answer.

    Raises:
        ContextLengthExceeded: None is left.
    """
    room = context_length - tokens.total
    if room < 1:
        raise ContextLengthExceeded(
            f"the prompt has {tokens.total} tokens ({tokens.text} text, {tokens.image} image, "
            f"{tokens.video} video) and the model takes {context_length} with the answer; "
            "send less text or fewer frames"
        )
    return room
