"""Live streams and their pictures as one thing that is opened and closed. Wiring only."""

import asyncio
from dataclasses import dataclass

from contracts.settings import Settings
from contracts.stream_keeping import StreamStore
from contracts.web import WebClient
from live.previews.live_previews import LivePreviews
from live.previews.overlay_lines import OverlayLines, RuleLines, no_rules
from live.streams.kept_streams import KeptStreams
from live.streams.opening import open_streams
from live.streams.registry import StreamRegistry


@dataclass(frozen=True, slots=True)
class Cameras:
    """Everything about live streams."""

    streams: StreamRegistry
    keeper: KeptStreams
    previews: LivePreviews

    async def close(self) -> None:
        """End every capture and every preview."""
        await asyncio.to_thread(self.previews.close)
        await asyncio.to_thread(self.streams.close)


def open_cameras(
    settings: Settings, store: StreamStore, web: WebClient, rule_lines: RuleLines = no_rules
) -> Cameras:
    """Live streams, none of them captured yet.

    Args:
        settings: What the operator permits, and how much.
        store: Keeps what people configure.
        web: Reaches http and https sources.
        rule_lines: What rules say of a stream, for its picture.
    """
    streams = open_streams(settings, web)
    previews = LivePreviews(streams, OverlayLines(rule_lines))
    return Cameras(streams, KeptStreams(streams, store), previews)
