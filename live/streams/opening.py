"""Live streams as the settings want them."""

from pathlib import Path

from contracts.settings import Settings
from contracts.web import WebClient
from live.sources.openers import PermittedSources
from live.sources.rules import HostRules, SourceRules
from live.streams.live_stream import StreamPolicy
from live.streams.registry import StreamRegistry

MEGABYTE = 1_000_000
WORK_BYTES = 16 * MEGABYTE  # of VLM_RING_MB: converting, packing and what the allocator keeps


def open_streams(settings: Settings, web: WebClient) -> StreamRegistry:
    """A registry without streams, whose watch is running; whoever opens it closes it.

    Args:
        settings: Limits and what is permitted.
        web: Reads what is permitted over http(s).
    """
    root = Path(settings.stream_root) if settings.stream_root else None
    rules = SourceRules(HostRules.parse(settings.stream_allow), root, web)
    policy = StreamPolicy(
        ring_seconds=settings.ring_seconds,
        ring_bytes=settings.ring_mb * MEGABYTE - WORK_BYTES,
        stale_s=settings.stream_stale_s,
        lost_s=settings.stream_lost_s,
    )
    return StreamRegistry(
        policy,
        max_streams=settings.max_streams,
        check=rules.check,
        open_source=PermittedSources(rules),
    )
