"""The pieces that replies are made of: usage, timings, media, choices, log-probabilities."""

import hashlib
import uuid
from collections.abc import Sequence

from api.deps import Deps
from api.drafts import media_parts
from api.generation import Choice
from contracts.chat import ChatMessage, ImagePart, StreamExcerpt, VideoPart
from contracts.generation import Alternative, PromptTokens, Timings, TokenLogprob, Usage
from contracts.media import Clip, Picture
from contracts.moments import rfc3339

Json = dict[str, object]


def new_id(prefix: str) -> str:
    """An id that nobody has had."""
    return prefix + uuid.uuid4().hex


def fingerprint(deps: Deps) -> str:
    """One text for one model and version."""
    served = f"{deps.settings.served_name}/{deps.version}"
    return f"fp_{hashlib.sha256(served.encode()).hexdigest()[:12]}"


def usage_json(usage: Usage, *, has_details: bool = True) -> Json:
    """Token counts; without details only the three totals."""
    totals: Json = {
        "prompt_tokens": usage.prompt.total,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt.total + usage.completion,
    }
    if not has_details:
        return totals
    return totals | {
        "prompt_tokens_details": prompt_json(usage.prompt, cached=usage.cached),
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def prompt_json(prompt: PromptTokens, *, cached: int = 0) -> Json:
    """What the tokens of a prompt are."""
    return {
        "cached_tokens": cached,
        "text_tokens": prompt.text,
        "image_tokens": prompt.image,
        "video_tokens": prompt.video,
    }


def chat_timings(usage: Usage, timings: Timings, messages: Sequence[ChatMessage]) -> Json:
    """Seconds and rates of a chat, in the names that chat clients read."""
    fetch_s, decode_s = media_seconds(messages)
    computed = usage.prompt.total - usage.cached
    return {
        "prompt_n": computed,
        "prompt_ms": to_ms(timings.prefill_s),
        "prompt_per_second": _rate(computed, timings.prefill_s),
        "predicted_n": usage.completion,
        "predicted_ms": to_ms(timings.generate_s),
        "predicted_per_second": _rate(usage.completion, timings.generate_s),
        "queue_ms": to_ms(timings.queue_s),
        "fetch_ms": to_ms(fetch_s),
        "decode_ms": to_ms(decode_s),
        "encode_ms": to_ms(timings.encode_s),
    }


def analyze_timings(timings: Timings, messages: Sequence[ChatMessage], total_s: float) -> Json:
    """Where the milliseconds of ``/analyze_*`` went."""
    fetch_s, decode_s = media_seconds(messages)
    return {
        "queue_ms": to_ms(timings.queue_s),
        "fetch_ms": to_ms(fetch_s),
        "decode_ms": to_ms(decode_s),
        "encode_ms": to_ms(timings.encode_s),
        "prefill_ms": to_ms(timings.prefill_s),
        "generate_ms": to_ms(timings.generate_s),
        "total_ms": to_ms(total_s),
    }


def media_seconds(messages: Sequence[ChatMessage]) -> tuple[float, float]:
    """Seconds of the longest download and of the longest decoding; media are read side by side."""
    media = [_pixels(part) for part in media_parts(messages)]
    return (
        max((one.fetch_s for one in media), default=0.0),
        max((one.decode_s for one in media), default=0.0),
    )


def media_info(messages: Sequence[ChatMessage]) -> list[Json]:
    """One entry for each medium, in order."""
    return [_medium_json(part) for part in media_parts(messages)]


def picture_json(picture: Picture) -> Json:
    """What a picture is."""
    return {"width": picture.width, "height": picture.height, "format": picture.format}


def clip_json(clip: Clip) -> Json:
    """What a video is, and which of its frames were seen."""
    return {
        "frame_count": len(clip.frames),
        "video_duration": _rounded(clip.duration_s),
        "frame_times": [round(time_s, 3) for time_s in clip.frame_times_s],
        "source_fps": _rounded(clip.source_fps),
        "num_source_frames": clip.num_source_frames,
        "width": clip.width,
        "height": clip.height,
        "codec": clip.codec,
        "start_s": round(clip.start_s, 3),
        "end_s": round(clip.end_s, 3),
        "sampled_by": clip.sampled_by,
        "warnings": list(clip.warnings),
    }


def choice_json(index: int, choice: Choice, *, has_logprobs: bool) -> Json:
    """A whole choice."""
    return {
        "index": index,
        "message": {
            "role": "assistant",
            "content": choice.text,
            "refusal": None,
            "annotations": [],
        },
        "logprobs": logprobs_json(choice.logprobs) if has_logprobs else None,
        "finish_reason": choice.finish_reason,
    }


def logprobs_json(tokens: Sequence[TokenLogprob]) -> Json:
    """Log-probabilities, one entry a token."""
    content = [
        _alternative_json(token.chosen)
        | {"top_logprobs": [_alternative_json(a) for a in token.top]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def to_ms(seconds: float) -> int:
    """Seconds as whole milliseconds."""
    return round(seconds * 1000)


def _alternative_json(alternative: Alternative) -> Json:
    return {
        "token": alternative.token,
        "logprob": alternative.logprob,
        "bytes": list(alternative.token_bytes),
    }


def excerpt_json(excerpt: StreamExcerpt) -> Json:
    """What was seen of a live stream."""
    return {
        "stream_id": excerpt.stream_id,
        "frame_count": len(excerpt.frame_times_s),
        "frame_times": [round(time_s, 3) for time_s in excerpt.frame_times_s],
        "captured_from": rfc3339(excerpt.captured_from),
        "captured_to": rfc3339(excerpt.captured_to),
        "age_s": round(excerpt.age_s, 3),
    }


def _medium_json(part: ImagePart | VideoPart) -> Json:
    if part.excerpt is not None:
        return {"type": "stream"} | excerpt_json(part.excerpt)
    if isinstance(part, VideoPart):
        return {"type": "video"} | clip_json(part.clip)
    return {"type": "image"} | picture_json(part.picture)


def _pixels(part: ImagePart | VideoPart) -> Picture | Clip:
    return part.clip if isinstance(part, VideoPart) else part.picture


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 1) if seconds > 0 else 0.0


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)
