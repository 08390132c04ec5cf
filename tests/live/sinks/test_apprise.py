"""Messages to people: what they read, what is attached, and which services are refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import DeliveryError, SinkNotAllowed
from contracts.events import Delivery, Event, EventMessage, Evidence, Score
from contracts.notify import AppriseSink, MessageKind
from live.alerting.evidence import Budget, EvidenceStore
from live.sinks.apprise import LOCAL_PLUGINS, AppriseSender, body, check, title
from tests.live.receiver import Receiver, receiving
from tests.live.stage import at
from tests.live.store.records import an_event, over

ALERT = an_event(
    0,
    severity="critical",
    prompt="Is there a person?",
    score=Score(0.81, 0.97, 0.934),
    evidence=Evidence(has_frame=True),
)
PUBLIC = "https://cams.example"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


def send(
    receiver: Receiver, tmp_path: Path, event: Event = ALERT, kind: MessageKind = "begin"
) -> dict[str, Any]:
    """Notify by Apprise's own JSON service; what arrived."""
    evidence = EvidenceStore(tmp_path, Budget(10**6, 10**9))
    evidence.open()
    evidence.put(ALERT.id, "begin.jpg", b"\xff\xd8\xffpicture", at(0))
    sink = AppriseSink(f"json://127.0.0.1:{receiver.port}/people")
    message = EventMessage(1, kind, at(0), event)
    delivery = Delivery("d", message, sink, kind, "pending", 0, at(0), at(0), at(1))
    AppriseSender(evidence, PUBLIC).send(delivery, sink)
    [received] = receiver.at("/people")
    told: dict[str, Any] = json.loads(received.body)
    return told


def test_people_read_what_happened_and_see_the_picture(receiver: Receiver, tmp_path: Path) -> None:
    told = send(receiver, tmp_path)
    assert told["title"] == "[critical] Front door: Is there a person?"
    assert told["message"] == (
        f"begin, score 0.81, 2026-11-20T12:00:00.000Z, {PUBLIC}/v1/events/{ALERT.id}"
    )
    assert told["type"] == "failure"
    assert [attached["filename"] for attached in told["attachments"]] == ["begin.jpg"]


@pytest.mark.parametrize(
    ("severity", "kind", "expected"),
    [
        ("critical", "begin", "failure"),
        ("warning", "begin", "warning"),
        ("info", "update", "info"),
        ("critical", "end", "success"),
    ],
)
def test_the_type_follows_severity_and_end(
    receiver: Receiver, tmp_path: Path, severity: str, kind: MessageKind, expected: str
) -> None:
    event = replace(over(ALERT, 5), severity=severity)  # type: ignore[arg-type]
    assert send(receiver, tmp_path, event, kind)["type"] == expected


def test_without_a_picture_there_is_none(receiver: Receiver, tmp_path: Path) -> None:
    event = replace(ALERT, id="evt_other")  # the budget took it
    assert send(receiver, tmp_path, event)["attachments"] == []


@pytest.mark.parametrize(
    ("event", "kind", "public_url", "expected"),
    [
        (ALERT, "begin", "", "begin, score 0.81, 2026-11-20T12:00:00.000Z"),
        (over(ALERT, 60), "end", "", "end: cleared, score 0.93, 2026-11-20T12:01:00.000Z"),
        (an_event(0, type="stream_lost"), "begin", "", "begin, 2026-11-20T12:00:00.000Z"),
    ],
)
def test_the_line_says_what_is_known(
    event: Event, kind: MessageKind, public_url: str, expected: str
) -> None:
    assert body(event, kind, public_url) == expected


def test_titles_of_what_is_no_alert() -> None:
    assert title(an_event(0, type="stream_lost")) == "[warning] Front door: camera lost"
    missed = an_event(0, type="not_evaluated", rule_name="Person at door")
    assert title(missed) == "[warning] Front door: rule not evaluated: Person at door"


def test_a_service_that_refuses_is_told_without_its_url(receiver: Receiver, tmp_path: Path) -> None:
    receiver.refuse("/people", 500)
    with pytest.raises(DeliveryError, match="did not take"):
        send(receiver, tmp_path)


def test_a_named_sink_that_acts_on_this_machine_takes_nothing(tmp_path: Path) -> None:
    sink = AppriseSink("syslog://")
    message = EventMessage(1, "begin", at(0), ALERT)
    delivery = Delivery("d", message, sink, "begin", "pending", 0, at(0), at(0), at(1))
    sender = AppriseSender(EvidenceStore(tmp_path, Budget(0, 0)), "")
    with pytest.raises(DeliveryError, match="on the network"):
        sender.send(delivery, sink)


@pytest.mark.parametrize(
    "url",
    [
        "syslog://",
        "syslog://_",
        "dbus://",
        "qt://",
        "kde://",
        "glib://",
        "gnome://",
        "macosx://",
        "windows://",
        "blink1://",
        "file:///etc/hunter2",
        "nosuch://hunter2",
        "hunter2",
        "",
    ],
)
def test_what_acts_on_this_machine_or_is_unknown_is_refused(url: str) -> None:
    with pytest.raises(SinkNotAllowed) as caught:
        check(AppriseSink(url))
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("url", ["ntfy://topic", "rsyslog://host", "mailto://u:p@example.com"])
def test_services_on_the_network_are_taken(url: str) -> None:
    check(AppriseSink(url))


def test_the_refused_plugins_are_there() -> None:
    """A plugin that was renamed would not be refused any more."""
    import apprise.plugins

    folder = Path(apprise.plugins.__file__).parent
    assert {*LOCAL_PLUGINS} <= {path.stem for path in folder.glob("*.py")}
