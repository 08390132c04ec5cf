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

MAX_JUMPS_BACK = 4  # each twice as many key frames earlier; then from the start


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

    def rewind(self) -> None:
        """Go to the start of the file."""
        self.video.reopen()
        self._start(needs_key=False)

    def jump(self, key_position: int, position: int) -> bool:
        """Go to a key frame; whether the first frame there is not later than a position."""
        try:
            self.video.container.seek(key_position, stream=self.video.stream, backward=True)
        except av.FFmpegError:
            return False
        self._start(needs_key=True)
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

    def _start(self, *, needs_key: bool) -> None:
        self._ahead = None
        self._frames = self._decode(needs_key=needs_key)

    def _decode(self, *, needs_key: bool) -> Iterator[Decoded]:
        trust, number = _Trust(), 0
        for packet in self._packets(needs_key=needs_key):
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

    def _packets(self, *, needs_key: bool) -> Iterator["Packet[VideoStream] | None"]:
        """Packets of the stream and ``None``, the decoder's flush, at its end."""
        try:
            for packet in self.video.container.demux(self.video.stream):
                needs_key = needs_key and not packet.is_keyframe
                if packet.size and not needs_key:
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
    """Go to the key frame before a position; ``False`` when only the start of the file will do."""
    key = walk.index.key_before(position)
    if key is not None:
        for attempt in range(MAX_JUMPS_BACK):
            back = key if attempt == 0 else max(0, key - 2**attempt + 1)
            if walk.jump(walk.index.key_positions[back], position):
                return True
    walk.rewind()
    return False
