"""Named sinks: what they are, and what they are told."""

import pytest

from contracts.errors import DeliveryError, SinkNotAllowed
from contracts.notify import AppriseSink, NamedSink, NotifyTarget, WebhookSink
from live.sinks.book import SinkBook

HOOK = WebhookSink("https://a/", "key")
BOOK = SinkBook({"ops": NotifyTarget(HOOK), "chatty": NotifyTarget(HOOK, ("update", "end"))})
OPS, CHATTY = NotifyTarget(NamedSink("ops")), NotifyTarget(NamedSink("chatty"))


def test_a_name_stands_for_what_the_operator_wrote() -> None:
    assert BOOK.resolve(NamedSink("ops")) == HOOK
    assert BOOK.resolve(HOOK) == HOOK
    with pytest.raises(DeliveryError, match="no sink gone"):
        BOOK.resolve(NamedSink("gone"))


def test_who_is_told_what() -> None:
    inline = NotifyTarget(AppriseSink("ntfy://a"), ("update",))
    targets = (OPS, CHATTY, inline, NotifyTarget(NamedSink("gone")))
    assert BOOK.sinks_for(targets, "begin") == [NamedSink("ops"), NamedSink("gone")]
    assert BOOK.sinks_for(targets, "update") == [NamedSink("chatty"), AppriseSink("ntfy://a")]
    told_of_ends = [NamedSink("ops"), NamedSink("chatty"), NamedSink("gone")]
    assert BOOK.sinks_for(targets, "end") == told_of_ends


def test_an_unknown_name_is_refused_and_the_known_are_told() -> None:
    BOOK.check_name("ops")
    with pytest.raises(SinkNotAllowed, match="which has chatty, ops"):
        BOOK.check_name("nobody")
    with pytest.raises(SinkNotAllowed, match="which has none"):
        SinkBook({}).check_name("nobody")
