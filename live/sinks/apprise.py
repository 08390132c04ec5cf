"""Messages to people, through the services that Apprise knows.

Only services that are reached over the network: what acts on this machine (its log, its desktop,
its devices) is refused. Everything here blocks.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from apprise import Apprise, AppriseAsset, AppriseAttachment, NotifyBase, NotifyType

from contracts.errors import DeliveryError, EvidenceGone, EvidenceNotFound, SinkNotAllowed
from contracts.event_json import event_url
from contracts.events import Delivery, Event
from contracts.moments import rfc3339
from contracts.notify import AppriseSink, MessageKind
from contracts.rules import Severity
from live.alerting.evidence import EvidenceStore

TIMEOUT_S = 30.0
# Plugins of Apprise that do something on the machine they run on.
LOCAL_PLUGINS = ("blink1", "dbus", "glib", "gnome", "macosx", "syslog", "windows")
TYPES: dict[Severity, NotifyType] = {
    "critical": NotifyType.FAILURE,
    "warning": NotifyType.WARNING,
    "info": NotifyType.INFO,
}
SYSTEM_TITLES: dict[Literal["stream_lost", "not_evaluated"], str] = {
    "stream_lost": "camera lost",
    "not_evaluated": "rule not evaluated",
}


@dataclass(frozen=True, slots=True)
class AppriseSender:
    """Notifies by Apprise; ``public_url`` begins links in messages."""

    evidence: EvidenceStore
    public_url: str

    def send(self, delivery: Delivery, sink: AppriseSink) -> None:
        """Notify once; blocks.

        Raises:
            DeliveryError: The service did not take it.
        """
        service = _open(sink)
        if service is None:
            raise DeliveryError("expected an Apprise URL of a service on the network")
        event, kind = delivery.message.event, delivery.kind
        apprise = Apprise()
        apprise.add(service)
        taken = apprise.notify(
            title=title(event),
            body=body(event, kind, self.public_url),
            notify_type=NotifyType.SUCCESS if kind == "end" else TYPES[event.severity],
            attach=self._attachment(event),
            timeout=TIMEOUT_S,
        )
        if not taken:
            raise DeliveryError("the service did not take the message")

    def _attachment(self, event: Event) -> AppriseAttachment | None:
        picture = self._picture(event)
        return None if picture is None else AppriseAttachment(str(picture))

    def _picture(self, event: Event) -> Path | None:
        try:
            return self.evidence.frame(event, "begin")
        except (EvidenceGone, EvidenceNotFound):
            return None


def check(sink: AppriseSink) -> None:
    """Refuse a URL that Apprise does not know, or that acts on this machine.

    Raises:
        SinkNotAllowed: The message does not hold the URL.
    """
    if _open(sink) is None:
        raise SinkNotAllowed("expected an Apprise URL of a service on the network")


def title(event: Event) -> str:
    """The first line that people see."""
    if event.type == "alert":
        return f"[{event.severity}] {event.stream_name}: {event.prompt}"
    told = f"[{event.severity}] {event.stream_name}: {SYSTEM_TITLES[event.type]}"
    return told if event.rule_name is None else f"{told}: {event.rule_name}"


def body(event: Event, kind: MessageKind, public_url: str) -> str:
    """A line with what is known: state, score, time and link."""
    score = event.score
    parts = [f"{kind}: {event.end_reason}" if kind == "end" else kind]
    if score is not None:
        parts.append(f"score {score.begin if kind == 'begin' else score.last:.2f}")
    parts.append(rfc3339(event.began_at if kind == "begin" else event.updated_at))
    if public_url:
        parts.append(event_url(event, public_url))
    return ", ".join(parts)


def _open(sink: AppriseSink) -> NotifyBase | None:
    """The service behind a URL, if it is one on the network."""
    service = Apprise.instantiate(sink.apprise, asset=_asset())
    if service is None or type(service).__module__.rpartition(".")[2] in LOCAL_PLUGINS:
        return None
    return service


def _asset() -> AppriseAsset:
    return AppriseAsset(
        app_id="Lookout",
        app_desc="Lookout",
        async_mode=False,
        allow_templates=False,  # they are files of this machine that a URL names
        http_redirects=False,
        storage_mode="memory",
    )
