"""An open source: packets of one video, and the decoder that belongs to them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

VideoPacket: TypeAlias = "Packet[VideoStream]"  # generic for type checkers only


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What a source says of itself once it is open.

    Attributes:
        codec: FFmpeg's name.
        declared_fps: Frames per second, if it says.
        is_paced: Whether its packets come faster than they are shown, and have to wait.
        is_finite: Whether their end is the end, and no fault.
    """

    codec: str
    declared_fps: float | None
    is_paced: bool = False
    is_finite: bool = False


class Connection(Protocol):
    """One connection to a source; belongs to one thread."""

    facts: SourceFacts
    decoder: VideoCodecContext

    def packets(self) -> Iterator[VideoPacket]:
        """What the source sends, in order of decoding, as it comes.

        Ends when the source does, or when the capture is told to stop: that is looked for
        at least once a second.

        Raises:
            SourceStalled: It is connected, and nothing came for too long.
            SourceError: It broke.
        """
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


def times_of(packet: VideoPacket) -> tuple[float | None, float | None]:
    """When a packet is decoded and when it is shown, in seconds of its source."""
    unit_s = float(packet.time_base)
    pts = packet.dts if packet.pts is None else packet.pts
    dts = packet.pts if packet.dts is None else packet.dts
    return (None if dts is None else dts * unit_s, None if pts is None else pts * unit_s)
