"""Which sinks have names, and which of a rule's sinks a message goes to. Pure."""

from collections.abc import Mapping, Sequence

from contracts.errors import DeliveryError, SinkNotAllowed
from contracts.notify import (
    TOLD_BY_DEFAULT,
    AppriseSink,
    MessageKind,
    NamedSink,
    NotifyTarget,
    Sink,
    WebhookSink,
)


class SinkBook:
    """The operator's named sinks."""

    def __init__(self, named: Mapping[str, NotifyTarget]) -> None:
        """Open the book.

        Args:
            named: VLM_SINKS.
        """
        self._named = named

    def check_name(self, name: str) -> None:
        """Refuse a name that is not in the book.

        Raises:
            SinkNotAllowed: The message has those that are.
        """
        if name not in self._named:
            known = ", ".join(sorted(self._named)) or "none"
            raise SinkNotAllowed(f"expected a name in VLM_SINKS, which has {known}")

    def sinks_for(self, targets: Sequence[NotifyTarget], kind: MessageKind) -> list[Sink]:
        """The sinks among these that want a message of this kind."""
        return [target.sink for target in targets if target.wants(kind, self._otherwise(target))]

    def resolve(self, sink: Sink) -> WebhookSink | AppriseSink:
        """What a sink is now.

        Raises:
            DeliveryError: Its name is not in VLM_SINKS any more.
        """
        if not isinstance(sink, NamedSink):
            return sink
        target = self._named.get(sink.name)
        if target is None or isinstance(target.sink, NamedSink):
            raise DeliveryError(f"VLM_SINKS has no sink {sink.name} any more")
        return target.sink

    def _otherwise(self, target: NotifyTarget) -> Sequence[MessageKind]:
        """What a target gets that does not say: what its name's entry says, else the usual."""
        if not isinstance(target.sink, NamedSink):
            return TOLD_BY_DEFAULT
        named = self._named.get(target.sink.name)
        return TOLD_BY_DEFAULT if named is None or named.on is None else named.on
