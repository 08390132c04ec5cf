"""Events as feeds, webhooks and replies show them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from contracts.event_json import event_json, event_url, message_json
from contracts.events import Event, EventMessage, Evidence, Score
from contracts.moments import rfc3339

AT = datetime(2026, 11, 20, 17, 17, 6, 412_999, UTC)
ALERT = Event(
    id="evt_1",
    type="alert",
    severity="critical",
    stream_id="door",
    stream_name="Front door",
    began_at=AT,
    updated_at=AT + timedelta(seconds=1),
    rule_id="r-door",
    rule_name="Person",
    prompt="Is there a person?",
    alert_number="r0",
    score=Score(0.81, 0.97, 0.93),
    num_looks=12,
    frame_times=(AT, AT),
    model="LLaVA",
    evidence=Evidence(has_frame=True, clip="pending"),
    cursor=1842,
)

# fmt: off
KEYS = [
    "id", "object", "type", "state", "severity", "suppressed", "rule_id", "rule_name", "prompt",
    "stream_id", "stream_name", "began_at", "updated_at", "ended_at", "end_reason", "score",
    "num_looks", "frame_times", "model", "evidence", "cursor",
]
# fmt: on


def test_an_event_has_the_keys_of_the_api_in_their_order() -> None:
    shown = event_json(ALERT, "")
    assert list(shown) == KEYS
    assert shown["began_at"] == "2026-11-20T17:17:06.412Z"
    assert shown["frame_times"] == ["2026-11-20T17:17:06.412Z"] * 2
    assert shown["score"] == {"begin": 0.81, "peak": 0.97, "last": 0.93}
    assert (shown["object"], shown["state"], shown["cursor"]) == ("event", "open", "1842")
    json.dumps(shown)


def test_an_ended_system_event_has_nulls_where_nothing_applies() -> None:
    over = Event(
        "evt_2", "stream_lost", "warning", "door", "Door", AT, AT, ended_at=AT, end_reason="cleared"
    )
    shown = event_json(over, "")
    assert (shown["state"], shown["end_reason"]) == ("ended", "cleared")
    for key in ("rule_id", "rule_name", "prompt", "score", "num_looks", "frame_times", "evidence"):
        assert shown[key] is None


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (Evidence(), {"frame": None, "clip": None, "clip_ready": False}),
        (
            Evidence(has_frame=True, clip="pending"),
            {"frame": "X/frame.jpg", "clip": "X/clip.mp4", "clip_ready": False},
        ),
        (Evidence(clip="ready"), {"frame": None, "clip": "X/clip.mp4", "clip_ready": True}),
    ],
)
@pytest.mark.parametrize("public_url", ["", "https://cams.example", "https://cams.example/"])
def test_links_begin_with_the_public_url(
    evidence: Evidence, expected: dict[str, object], public_url: str
) -> None:
    event = replace(ALERT, evidence=evidence)
    base = f"{public_url.rstrip('/')}/v1/events/evt_1"
    assert event_url(event, public_url) == base
    filled = {k: v.replace("X", base) if isinstance(v, str) else v for k, v in expected.items()}
    assert event_json(event, public_url)["evidence"] == filled


def test_a_message_has_its_kind_or_the_one_a_sink_is_told() -> None:
    message = EventMessage(1842, "update", AT, ALERT)
    shown = message_json(message, "")
    assert list(shown) == ["cursor", "kind", "at", "event"]
    assert (shown["cursor"], shown["kind"]) == ("1842", "update")
    assert message_json(message, "", kind="begin")["kind"] == "begin"


def test_moments_are_written_in_utc() -> None:
    berlin = AT.astimezone(timezone(timedelta(hours=1)))
    assert rfc3339(berlin) == "2026-11-20T17:17:06.412Z"
    assert rfc3339(AT.replace(microsecond=0)) == "2026-11-20T17:17:06.000Z"
