"""Entries of ``notify`` as people write them, and sinks as they may be shown."""

import pytest

from contracts.notify import (
    AppriseSink,
    NamedSink,
    NotifyTarget,
    Sink,
    WebhookSink,
    parse_target,
    redacted,
)

URL = "https://hooks.example/services/T0/hunter2"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("ops", NotifyTarget(NamedSink("ops"))),
        ({"url": URL}, NotifyTarget(WebhookSink(URL))),
        ({"url": URL, "secret": ""}, NotifyTarget(WebhookSink(URL))),
        (
            {"url": URL, "secret": "whsec_eA==", "on": ["end", "begin"]},
            NotifyTarget(WebhookSink(URL, "whsec_eA=="), ("begin", "end")),
        ),
        ({"apprise": "ntfy://x", "on": None}, NotifyTarget(AppriseSink("ntfy://x"))),
    ],
)
def test_an_entry_is_read(entry: object, expected: NotifyTarget) -> None:
    assert parse_target(entry) == expected


@pytest.mark.parametrize(
    "entry",
    [
        "",
        " ",
        7,
        None,
        ["hunter2"],
        {},
        {"url": "hunter2"},
        {"url": URL + "x" * 8192},
        {"url": 7},
        {"url": URL, "apprise": "ntfy://x"},
        {"apprise": "ntfy://x", "secret": "hunter2"},
        {"apprise": "hunter2"},
        {"url": URL, "secret": 7},
        {"url": URL, "secrett": "hunter2"},
        {"url": URL, "on": []},
        {"url": URL, "on": "begin"},
        {"url": URL, "on": ["hunter2"]},
    ],
)
def test_what_is_no_entry_is_refused_without_its_value(entry: object) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse_target(entry)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("sink", "expected"),
    [
        (NamedSink("ops"), "ops"),
        (WebhookSink("https://user:hunter2@hooks.example:8443/a?b=c"), "https://hooks.example/***"),
        (AppriseSink("tgram://hunter2/1"), "tgram://***"),
    ],
)
def test_a_sink_is_shown_without_its_secrets(sink: Sink, expected: str) -> None:
    assert redacted(sink) == expected
    assert "hunter2" not in repr(sink)


def test_who_is_told_of_what() -> None:
    target = NotifyTarget(NamedSink("ops"))
    assert [target.wants("begin"), target.wants("update"), target.wants("end")] == [
        True,
        False,
        True,
    ]
    assert target.wants("update", ("update",))
    assert not NotifyTarget(NamedSink("ops"), ("end",)).wants("begin", ("begin",))
