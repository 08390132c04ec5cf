"""From positions of frames to their pictures, decoding as little as that takes.

Frames are walked forward; a jump is made only where a later group of pictures begins before the
next wanted frame. A jump is believed only after its first frame: some containers land too late.
After a broken packet a decoder hands out wrong pictures without saying so, hence nothing is taken
until the next key frame. Runs in a decoder process only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from media.container import OpenVideo
from media.index import FrameIndex

MAX_DAMAGED_KEYS = 3
LEADS_S = (0, 1, 4, 16)  # how much earlier than wanted to ask for; then from the start


@dataclass(frozen=True, slots=True)
class Decoded:
    """One frame as the decoder gave it; ``position`` is in the index's units."""

    position: int
    picture: VideoFrame


@dataclass(slots=True)
class _Trust:
    """Whether pictures are what was encoded; the decoder marks only some of the wrong ones.

    Marked pictures before the first whole one belong to a stream that was joined in its middle;
    later ones, like errors, spoil everything up to the next whole key frame.
    """

    is_tainted: bool = False
    has_begun: bool = False

    def admits(self, picture: VideoFrame) -> bool:
        if picture.is_corrupt:
            self.is_tainted = self.is_tainted or self.has_begun or picture.key_frame
            return False
        self.is_tainted = self.is_tainted and not picture.key_frame
        self.has_begun = self.has_begun or not self.is_tainted
        return not self.is_tainted


@dataclass(slots=True)
class FrameWalk:
    """A place in the stream, moved forward by decoding and to anywhere by jumping."""

    video: OpenVideo
    index: FrameIndex
    wanted: frozenset[int]
    num_damaged: int = 0
    _frames: Iterator[Decoded] = field(default_factory=lambda: iter(()))
    _ahead: Decoded | None = None
    _lead_s: int = 0

    def rewind(self) -> None:
        """Go to the start of the file."""
        self.video.reopen()
        self._start(None)

    def jump(self, key_position: int, position: int) -> bool:
        """Go to a key frame; whether what comes then begins not later than a position.

        Where the container lands too late, it is asked for an earlier time; packets before the key
        frame are read over, not decoded. The lead that was needed is tried first the next time.
        """
        leads = [lead for lead in LEADS_S if lead >= self._lead_s]
        for lead_s in leads:
            if self._jump(key_position, position, lead_s):
                self._lead_s = lead_s
                return True
        return False

    def _jump(self, key_position: int, position: int, lead_s: int) -> bool:
        asked = key_position - int(lead_s / self.index.time_base)
        try:
            self.video.container.seek(asked, stream=self.video.stream, backward=True)
        except av.FFmpegError:
            return False
        self._start(key_position)
        first = self.peek()
        return first is not None and first.position <= position

    def peek(self) -> Decoded | None:
        """The next frame, not taken yet; ``None`` at the end."""
        if self._ahead is None:
            self._ahead = next(self._frames, None)
        return self._ahead

    def take(self) -> Decoded | None:
        """The next frame."""
        taken, self._ahead = self.peek(), None
        return taken

    def _start(self, key_position: int | None) -> None:
        self._ahead = None
        self._frames = self._decode(key_position)

    def _decode(self, key_position: int | None) -> Iterator[Decoded]:
        trust, number = _Trust(), 0
        for packet in self._packets(key_position):
            try:
                pictures = self._send(packet)
            except av.FFmpegError as exc:
                if isinstance(exc, MemoryError):
                    raise
                self.num_damaged += 1
                trust.is_tainted = True
                continue
            for picture in pictures:
                position = picture.pts if self.index.has_times else number
                number += 1
                if trust.admits(picture) and position is not None:
                    yield Decoded(position, picture)

    def _packets(self, key_position: int | None) -> Iterator["Packet[VideoStream] | None"]:
        """Packets from a key frame on, and ``None``, the decoder's flush, at the end."""
        is_waiting = key_position is not None
        try:
            for packet in self.video.container.demux(self.video.stream):
                if is_waiting and packet.is_keyframe and packet.pts is not None:
                    is_waiting = packet.pts < (key_position or 0)
                if packet.size and not is_waiting:
                    yield packet
        except av.FFmpegError:
            self.num_damaged += 1
        yield None

    def _send(self, packet: "Packet[VideoStream] | None") -> Sequence[VideoFrame]:
        codec = self.video.stream.codec_context
        if packet is not None and self.index.has_times and codec.name == "h264":
            # A picture that no other refers to need not be decoded unless it is wanted.
            codec.skip_frame = "DEFAULT" if packet.pts in self.wanted else "NONREF"
        return codec.decode(packet)


def decode_frames(walk: FrameWalk, positions: Sequence[int]) -> Iterator[Decoded]:
    """The frames at the wanted positions, in order, none twice.

    Where one is damaged, the nearest whole frame before it stands in, at its own position, unless
    that one was handed out already.
    """
    current: Decoded | None = None
    given: int | None = None
    is_started, can_jump = False, walk.index.is_seekable
    for position in positions:
        if can_jump and (not is_started or _jump_pays(walk, current, position)):
            can_jump = _jump_before(walk, position)
            current, is_started = None, True
        elif not is_started:
            walk.rewind()
            is_started = True
        current = _advance(walk, current, position)
        if current is not None and current.position != given:
            given = current.position
            yield current


def _advance(walk: FrameWalk, current: Decoded | None, position: int) -> Decoded | None:
    """Walk until the next frame would be too late; the first frame of all may be late itself."""
    while (ahead := walk.peek()) is not None:
        if ahead.position > position and current is not None:
            break
        current = walk.take()
        if current is not None and current.position >= position:
            break
    return current


def _jump_pays(walk: FrameWalk, current: Decoded | None, position: int) -> bool:
    key = walk.index.key_before(position)
    reached = current.position if current is not None else walk.index.positions[0]
    return key is not None and walk.index.key_positions[key] > reached


def _jump_before(walk: FrameWalk, position: int) -> bool:
    """Go to the key frame before a position; ``False`` when jumping does not work in this file.

    Where that key frame or what follows it is damaged, one before it has to do.
    """
    key = walk.index.key_before(position) or 0
    for back in range(key, max(0, key - MAX_DAMAGED_KEYS), -1):
        if walk.jump(walk.index.key_positions[back], position):
            return True
    walk.rewind()
    return key <= MAX_DAMAGED_KEYS
