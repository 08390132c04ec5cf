"""A live stream as clients read it: natively, and as JPS lists it. Without any credential."""

from datetime import datetime

from contracts.moments import rfc3339, rfc3339_or_none
from contracts.streams import StreamStatus

Json = dict[str, object]


def stream_json(status: StreamStatus, num_rules: int) -> Json:
    """A live stream as the native API shows it."""
    config = status.config
    return {
        "id": config.id,
        "object": "stream",
        "name": config.name or config.id,
        "description": config.description,
        "url": status.url,
        "kind": status.kind,
        "enabled": config.enabled,
        "sample_fps": config.sample_fps,
        "loop": config.loop,
        "created_at": rfc3339(config.created_at),
        "state": status.state,
        "state_since": rfc3339(status.state_since),
        "state_reason": status.state_reason,
        "last_frame_at": rfc3339_or_none(status.last_frame_at),
        "last_frame_age_s": _rounded(status.last_frame_age_s),
        "next_retry_in_s": _rounded(status.next_retry_in_s),
        "reconnects": status.reconnects,
        "width": status.width,
        "height": status.height,
        "codec": status.codec,
        "source_fps": _rounded(status.source_fps),
        "measured_fps": _rounded(status.measured_fps),
        "frames_captured": status.frames_captured,
        "frames_dropped": status.frames_dropped,
        "buffer": {
            "seconds": _rounded(status.buffer.seconds),
            "frames": status.buffer.num_frames,
        },
        "num_rules": num_rules,
    }


def jps_stream_json(status: StreamStatus) -> Json:
    """A live stream as JPS lists it."""
    return {
        "id": status.config.id,
        "liveStreamUrl": status.url,
        "description": status.config.description,
    }


def frame_age_s(status: StreamStatus, captured_at: datetime) -> float:
    """How old a frame is, by the clock that dated it."""
    if status.last_frame_at is None or status.last_frame_age_s is None:
        return 0.0
    return status.last_frame_age_s + (status.last_frame_at - captured_at).total_seconds()


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)
