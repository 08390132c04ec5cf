"""From a source to a connection, by its kind. What is permitted is looked at each time."""

from dataclasses import dataclass
from typing import Protocol

from live.sources.connection import Connection
from live.sources.http_video import open_http
from live.sources.rtsp import open_rtsp
from live.sources.rules import SourceRules
from live.sources.source import Source
from live.sources.stop_signal import StopSignal
from live.sources.v4l2 import open_v4l2
from live.sources.video_file import open_file


class OpenSource(Protocol):
    """Connects to sources."""

    def __call__(self, source: Source, *, silence_s: float, stop: StopSignal) -> Connection:
        """Connect.

        Args:
            source: Of any kind.
            silence_s: How long it may send nothing.
            stop: Looked at while the source is read.

        Raises:
            SourceError: It cannot be opened; the message has no address.
        """
        ...


@dataclass(frozen=True, slots=True)
class PermittedSources:
    """Connects to what the rules permit."""

    rules: SourceRules

    def __call__(self, source: Source, *, silence_s: float, stop: StopSignal) -> Connection:
        """Connect; see ``OpenSource``."""
        self.rules.check(source)
        if source.kind == "rtsp":
            hosts = self.rules.hosts
            return open_rtsp(source, hosts, silence_s=silence_s, stop=stop)
        if source.kind == "http":
            return open_http(source, self.rules.web, silence_s=silence_s, stop=stop)
        if source.kind == "v4l2":
            return open_v4l2(source, silence_s=silence_s, stop=stop)
        path = self.rules.file_of(source)
        return open_file(path, silence_s=silence_s, stop=stop)
