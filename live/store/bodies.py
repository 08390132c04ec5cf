"""Values as the JSON in which they are stored, and back.

A field that is added to a value needs a default, or a migration that fills it in.
"""

from typing import Generic, TypeVar

from pydantic import TypeAdapter

from contracts.events import Event
from contracts.notify import Sink
from contracts.rules import Rule
from contracts.streams import StreamConfig
from live.alerting.rule_run import Standing

T = TypeVar("T")


class Body(Generic[T]):
    """How values of one type are stored."""

    def __init__(self, of: TypeAdapter[T]) -> None:
        self._adapter = of

    def dump(self, value: T) -> str:
        """Write a value."""
        return self._adapter.dump_json(value).decode()

    def load(self, text: str) -> T:
        """Read a value back."""
        return self._adapter.validate_json(text)


RULE = Body(TypeAdapter(Rule))
EVENT = Body(TypeAdapter(Event))
STREAM = Body(TypeAdapter(StreamConfig))
STANDING = Body(TypeAdapter(Standing))
SINK: Body[Sink] = Body(TypeAdapter(Sink))
