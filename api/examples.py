"""One example of each body and reply, for the document; the tests hold them against the schemas."""

from collections.abc import Mapping

from pydantic import BaseModel

from api.chat_schemas import ChatBody
from api.error_replies import JpsError, OpenAIError
from api.event_replies import DeliveryReply, EventReply, MessageReply
from api.replies import Json
from api.reply_schemas import DetailReply
from api.response_schemas import ResponseBody
from api.rule_replies import JpsAlert, RuleDeleted, RuleReply, RuleTestReply
from api.rule_schemas import JpsAlertsBody, RuleBody, RulePatch, RuleTestBody
from api.status_replies import StatusReply
from api.stream_replies import JpsStream, JpsStreamAdded, StreamDeleted, StreamReply
from api.stream_schemas import JpsStreamBody, StreamBody, StreamPatch

BEGAN_AT, LOOKED_AT = "2026-11-20T17:17:06.412Z", "2026-11-20T17:17:30.020Z"
EVENT_ID = "evt_01kah8vk5ch4f8b6m1t0q2r9xe"
CAMERA, PROMPT = "rtsp://10.0.0.7:554/h264", "Is there a person?"

RULE: Json = {
    "id": "r-door",
    "prompt": PROMPT,
    "name": "Person at the door",
    "stream_id": "door",
    "window": {"seconds": 2, "frames": 4},
    "interval_s": 2,
    "on_threshold": 0.6,
    "off_threshold": 0.4,
    "confirm": {"n": 2, "of": 3},
    "cooldown_s": 60,
    "severity": "warning",
    "enabled": True,
    "schedule": {
        "timezone": "Europe/Berlin",
        "windows": [{"days": ["mon", "tue"], "from": "22:00", "to": "06:00"}],
    },
}
WEBHOOK: Json = {
    "url": "https://hooks.example.com/lookout",
    "secret": "whsec_cmVwbGFjZS10aGlzLXNlY3JldC1vZi15b3Vycw==",
    "on": ["begin", "end"],
}
RULE_STATUS: Json = {
    "stream_id": "door",
    "state": "on",
    "score": 0.93,
    "known": True,
    "last_look_at": LOOKED_AT,
    "achieved_interval_s": 2.04,
    "num_looks": 88,
    "num_unknown": 1,
    "event_id": EVENT_ID,
}
EVENT: Json = {
    "id": EVENT_ID,
    "object": "event",
    "type": "alert",
    "state": "open",
    "severity": "warning",
    "suppressed": False,
    "rule_id": "r-door",
    "rule_name": "Person at the door",
    "prompt": PROMPT,
    "stream_id": "door",
    "stream_name": "Front door",
    "began_at": BEGAN_AT,
    "updated_at": LOOKED_AT,
    "ended_at": None,
    "end_reason": None,
    "score": {"begin": 0.81, "peak": 0.97, "last": 0.93},
    "num_looks": 12,
    "frame_times": ["2026-11-20T17:17:04.412Z", BEGAN_AT],
    "model": "LLaVA-Video-7B-Qwen2",
    "evidence": {
        "frame": f"/v1/events/{EVENT_ID}/frame.jpg",
        "clip": f"/v1/events/{EVENT_ID}/clip.mp4",
        "clip_ready": True,
    },
    "cursor": "1842",
}
MESSAGE: Json = {"cursor": "1842", "kind": "update", "at": LOOKED_AT, "event": EVENT}
DELIVERY: Json = {
    "id": f"{EVENT_ID}-1842-9f2c6d1ab0e34c57",
    "object": "delivery",
    "state": "dead",
    "kind": "update",
    "sink": "https://hooks.example.com/***",
    "attempts": 31,
    "last_error": "expected a status of 200 to 299, the host answered 503",
    "created_at": LOOKED_AT,
    "next_at": None,
    "give_up_at": "2026-11-21T17:17:30.020Z",
    "message": MESSAGE,
}
STREAM: Json = {
    "id": "door",
    "object": "stream",
    "name": "Front door",
    "description": "",
    "url": "rtsp://***@10.0.0.7:554/h264",
    "kind": "rtsp",
    "enabled": True,
    "sample_fps": 4,
    "loop": False,
    "created_at": BEGAN_AT,
    "state": "running",
    "state_since": BEGAN_AT,
    "state_reason": None,
    "last_frame_at": LOOKED_AT,
    "last_frame_age_s": 0.12,
    "next_retry_in_s": None,
    "reconnects": 0,
    "width": 1280,
    "height": 720,
    "codec": "h264",
    "source_fps": 30,
    "measured_fps": 29.9,
    "frames_captured": 96,
    "frames_dropped": 0,
    "buffer": {"seconds": 24, "frames": 96},
    "num_rules": 1,
}
STATUS: Json = {
    "version": "0.1.0",
    "uptime_s": 7261.4,
    "model": {
        "name": "LLaVA-Video-7B-Qwen2",
        "runner": "transformers",
        "quantization": "nf4",
        "device": "cuda:0",
        "max_model_len": 32768,
        "state": "ready",
        "progress": 1,
    },
    "engine": {"queue": {"chat": 0, "upload": 0, "alert": 0}, "running": 2},
    "streams": {"running": 3},
    "rules": {"on": 1, "off": 5},
    "outbox": {"depth": 0, "oldest_s": None},
}
TRIED: Json = {
    "stream_id": "door",
    "score": 0.93,
    "known": True,
    "verdict": "yes",
    "frame_times": [BEGAN_AT],
    "latency_ms": 210,
    "error": None,
}
ERROR: Json = {
    "message": "prompt: expected at least 1 character (string_too_short)",
    "type": "invalid_request_error",
    "param": "prompt",
    "code": "invalid_request",
}

EXAMPLES: Mapping[type[BaseModel], Json] = {
    ChatBody: {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "stream", "stream": {"stream_id": "door", "last_seconds": 5}},
                    {"type": "text", "text": "What happens at the door?"},
                ],
            }
        ]
    },
    ResponseBody: {
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is in this picture?"},
                    {"type": "input_image", "image_url": "https://example.com/picture.jpg"},
                ],
            }
        ]
    },
    RuleBody: RULE | {"notify": ["ops", WEBHOOK]},
    RulePatch: {"interval_s": 5, "severity": "critical"},
    RuleTestBody: {"stream_id": "door"},
    RuleReply: RULE
    | {
        "object": "rule",
        "notify": [
            "ops",
            {"url": "https://hooks.example.com/***", "secret": "***", "on": ["begin"]},
        ],
        "created_at": BEGAN_AT,
        "updated_at": BEGAN_AT,
        "source": "native",
        "alert_number": None,
        "status": [RULE_STATUS],
    },
    RuleDeleted: {"id": "r-door", "object": "rule", "deleted": True},
    RuleTestReply: {"object": "rule.test", "rule_id": "r-door", "results": [TRIED]},
    JpsAlertsBody: {"alerts": ["Is there a fire?", PROMPT], "id": ""},
    JpsAlert: {
        "alert_number": "r0",
        "alert_string": "Is there a fire?",
        "id": "",
        "status": 0,
        "rule_id": "6f1ab0e3-4c57-4d1a-9f2c-b0e34c576d1a",
    },
    EventReply: EVENT,
    MessageReply: MESSAGE,
    DeliveryReply: DELIVERY,
    StreamBody: {"url": CAMERA, "id": "door", "name": "Front door", "sample_fps": 4},
    StreamPatch: {"name": "Back door", "enabled": False},
    StreamReply: STREAM,
    StreamDeleted: {"id": "door", "object": "stream", "deleted": True},
    JpsStreamBody: {"liveStreamUrl": CAMERA},
    JpsStreamAdded: {"id": "door"},
    JpsStream: {"id": "door", "liveStreamUrl": CAMERA, "description": ""},
    StatusReply: STATUS,
    DetailReply: {"detail": "Alert rules set"},
    OpenAIError: {"error": ERROR},
    JpsError: {"detail": "expected the id of a live stream, or none for all"},
}
