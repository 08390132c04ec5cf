"""Events and messages in the JSON that feeds, webhooks and replies share.

Pure. Links to evidence are absolute where VLM_PUBLIC_URL says how clients reach the service.
"""

from dataclasses import asdict

from contracts.events import Event, EventMessage
from contracts.moments import rfc3339, rfc3339_or_none
from contracts.notify import MessageKind

JsonObject = dict[str, object]


def event_json(event: Event, public_url: str) -> JsonObject:
    """An event, all keys of API.md 6.1 in their order."""
    times = event.frame_times
    return {
        "id": event.id,
        "object": "event",
        "type": event.type,
        "state": event.state,
        "severity": event.severity,
        "suppressed": event.suppressed,
        "rule_id": event.rule_id,
        "rule_name": event.rule_name,
        "prompt": event.prompt,
        "stream_id": event.stream_id,
        "stream_name": event.stream_name,
        "began_at": rfc3339(event.began_at),
        "updated_at": rfc3339(event.updated_at),
        "ended_at": rfc3339_or_none(event.ended_at),
        "end_reason": event.end_reason,
        "score": None if event.score is None else asdict(event.score),
        "num_looks": event.num_looks,
        "frame_times": None if times is None else [rfc3339(time) for time in times],
        "model": event.model,
        "evidence": _evidence_json(event, public_url),
        "cursor": str(event.cursor),
    }


def message_json(
    message: EventMessage, public_url: str, *, kind: MessageKind | None = None
) -> JsonObject:
    """A feed's message; ``kind`` is what a sink is told instead, where that differs."""
    return {
        "cursor": str(message.cursor),
        "kind": kind or message.kind,
        "at": rfc3339(message.at),
        "event": event_json(message.event, public_url),
    }


def event_url(event: Event, public_url: str) -> str:
    """Where an event can be read."""
    return f"{public_url.rstrip('/')}/v1/events/{event.id}"


def _evidence_json(event: Event, public_url: str) -> JsonObject | None:
    kept = event.evidence
    if kept is None:
        return None
    url = event_url(event, public_url)
    return {
        "frame": f"{url}/frame.jpg" if kept.has_frame else None,
        "clip": f"{url}/clip.mp4" if kept.clip != "none" else None,
        "clip_ready": kept.clip == "ready",
    }
