"""One source into one buffer: for ever, in order, and honest about it. No time passes here."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from contracts.errors import (
    SourceError,
    SourceNotPermitted,
    SourceStalled,
    SourceUnauthorized,
    SourceUnreachable,
    SourceUnsupported,
)
from contracts.streams import StreamState
from live.capture.reconnecting import Capture, CaptureWishes
from live.capture.tracker import Tracker
from live.sources.connection import Connection, VideoPacket
from live.sources.stop_signal import StopSignal
from live.sources.video_file import open_file
from live.streams.ring_buffer import RingBuffer
from live.streams.state import Standing, StateLimits
from tests.live.clocks import HandClock
from tests.live.pictures import number_of, video

Turn = Callable[[], Connection]


class Scene:
    """A capture whose source behaves as told, turn by turn, and then stops it."""

    def __init__(self, *turns: Turn, interval_s: float = 0.5, loop: bool = False) -> None:
        self.clock = HandClock()
        self.states: list[tuple[float, StreamState]] = []
        self.reasons: list[str | None] = []
        self.ring = RingBuffer(seconds=1e6, max_bytes=16_000_000)
        self.tracker = Tracker(self.clock, StateLimits(10, 30), self._tell)
        self.wishes = CaptureWishes(interval_s, loop)
        self.num_opened = 0
        self.when_told: Callable[[], None] = lambda: None
        self._turns = iter(turns)
        self._is_over = False
        self.tracker.observe()

    def run(self) -> None:
        Capture(
            self._open,
            lambda: self.wishes,
            self.ring,
            self.tracker,
            self.clock,
            self.clock.waiting_until(lambda: self._is_over),
            self.clock.now_s,
            Random(1),
        ).run()

    def stop(self) -> None:
        self._is_over = True

    def numbers(self) -> list[int]:
        return [number_of(frame.rgb) for frame in self.ring.read_all(self.ring.entries)]

    def told(self) -> list[str]:
        return [str(state) for _, state in self.states]

    def _open(self) -> Connection:
        self.num_opened += 1
        turn = next(self._turns, None)
        if turn is None:
            self.stop()
            raise SourceUnreachable("the play is over")
        return turn()

    def _tell(self, before: StreamState | None, standing: Standing) -> None:
        self.states.append((self.clock.now_s, standing.state))
        self.reasons.append(standing.reason)
        self.when_told()


class Live:
    """A recording that passes for a camera: its packets come when they come, and it breaks off."""

    def __init__(
        self,
        recording: Connection,
        clock: HandClock,
        *,
        gap_s: float = 1 / 30,
        then: SourceError | None = None,
    ) -> None:
        self.facts = replace(recording.facts, is_paced=False, is_finite=False)
        self.decoder = recording.decoder
        self._recording = recording
        self._clock = clock
        self._gap_s = gap_s
        self._then = then
        self.is_closed = False

    def packets(self) -> Iterator[VideoPacket]:
        for packet in self._recording.packets():
            self._clock.now_s += self._gap_s
            yield packet
        if self._then is not None:
            raise self._then

    def close(self) -> None:
        self.is_closed = True
        self._recording.close()


def recording(path: Path) -> Connection:
    return open_file(path, silence_s=10, stop=StopSignal())


def refuse(error: SourceError) -> Turn:
    def turn() -> Connection:
        raise error

    return turn


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    video(range(60), target=path, gop=30)
    return path


def test_a_recording_is_sampled_at_its_own_rate_and_ends(clip: Path) -> None:
    scene = Scene(lambda: recording(clip))
    started_s = scene.clock.now_s
    scene.run()
    assert scene.numbers() == [0, 15, 30, 45]
    assert scene.told() == ["connecting", "running", "ended"]
    assert scene.reasons[-1] == "played out"
    assert scene.clock.now_s - started_s == pytest.approx(59 / 30)
    times_s = [entry.time_s for entry in scene.ring.entries]
    assert times_s == pytest.approx([0.0, 0.5, 1.0, 1.5], abs=1e-3)


def test_a_recording_may_begin_again_for_ever(clip: Path) -> None:
    scene = Scene(*[lambda: recording(clip)] * 3, loop=True)
    scene.run()
    assert scene.numbers() == [0, 15, 30, 45] * 3
    assert scene.told()[:2] == ["connecting", "running"]
    assert all(a.time_s < b.time_s for a, b in pairwise(scene.ring.entries))
    assert scene.tracker.figures.num_reconnects == 0


def test_the_rate_and_the_loop_may_change_while_it_runs(clip: Path) -> None:
    def faster() -> Connection:
        scene.wishes = CaptureWishes(interval_s=0.1, loop=False)
        return recording(clip)

    scene = Scene(lambda: recording(clip), faster, loop=True)
    scene.run()
    assert scene.numbers() == [0, 15, 30, 45, *range(0, 60, 3)]
    assert scene.told()[-1] == "ended"


def test_a_camera_that_was_gone_for_an_hour_comes_back(clip: Path) -> None:
    def come_back() -> Connection:
        if scene.clock.now_s < gone_s + 3600:
            raise SourceUnreachable("the source refuses connections")
        return Live(recording(clip), scene.clock)

    scene = Scene(lambda: Live(recording(clip), scene.clock), *[come_back] * 2000)
    gone_s = scene.clock.now_s + 2

    def stop_when_back() -> None:
        if scene.told().count("running") == 2:
            scene.stop()

    scene.when_told = stop_when_back
    scene.run()
    assert scene.told() == ["connecting", "running", "lost", "connecting", "running"]
    (_, _, (lost_s, _), _, (back_s, _)) = scene.states
    assert lost_s == pytest.approx(gone_s, abs=0.1)
    assert gone_s + 3600 <= back_s <= gone_s + 3605
    assert max(scene.clock.waited_s) <= 5
    assert scene.tracker.figures.num_reconnects == 1


def test_the_first_tries_come_quickly(clip: Path) -> None:
    error = SourceUnreachable("the source refuses connections")
    scene = Scene(*[refuse(error)] * 6)
    scene.run()
    assert scene.told() == ["connecting", "lost"]
    assert scene.reasons[-1] == "the source refuses connections"
    for wait_s, most_s in zip(scene.clock.waited_s, [0.5, 1, 2, 4, 5, 5, 5], strict=True):
        assert 0.6 * most_s <= wait_s <= 0.9 * most_s


def test_a_picture_makes_the_next_tries_quick_again(clip: Path) -> None:
    error = SourceUnreachable("the source refuses connections")
    scene = Scene(*[refuse(error)] * 6, lambda: Live(recording(clip), scene.clock), refuse(error))
    scene.run()
    assert scene.clock.waited_s[6] <= 0.5
    assert scene.clock.waited_s[7] <= 1.0


def test_the_end_of_a_live_source_is_a_fault(clip: Path) -> None:
    live: list[Live] = []

    def turn() -> Connection:
        live.append(Live(recording(clip), scene.clock))
        return live[0]

    scene = Scene(turn)
    scene.run()
    assert scene.told()[1:3] == ["running", "lost"]
    assert scene.reasons[2] == "the source ended the connection"
    assert live[0].is_closed


@pytest.mark.parametrize(
    "error",
    [
        SourceUnauthorized("the source refuses the credentials"),
        SourceUnsupported("its codec is not supported"),
        SourceNotPermitted("the host is not in VLM_STREAM_ALLOW"),
    ],
)
def test_what_only_a_person_can_mend_is_not_tried_again(error: SourceError, clip: Path) -> None:
    scene = Scene(refuse(error), lambda: recording(clip))
    scene.run()
    assert scene.num_opened == 1
    assert scene.told() == ["connecting", "failed"]
    assert scene.reasons[-1] == error.message


def test_a_source_that_falls_silent_is_opened_anew_at_once(clip: Path) -> None:
    silent = SourceStalled("the source sent nothing for 10 s")

    def go_on() -> Connection:
        opened_s.append(scene.clock.now_s)
        return Live(recording(clip), scene.clock)

    opened_s: list[float] = []
    scene = Scene(lambda: Live(recording(clip), scene.clock, then=silent), go_on)
    started_s = scene.clock.now_s
    scene.run()
    assert opened_s == [pytest.approx(started_s + 2)]
    assert scene.told()[:3] == ["connecting", "running", "lost"]  # at the end of the second


def test_a_source_that_never_gave_a_picture_waits_between_tries() -> None:
    silent = SourceStalled("the source sent nothing for 10 s")
    scene = Scene(refuse(silent), refuse(silent))
    scene.run()
    assert len(scene.clock.waited_s) == 3
    assert scene.told() == ["connecting", "lost"]


def test_packets_without_pictures_are_silence(tmp_path: Path) -> None:
    headless = video(range(60), gop=60, container="h264")
    path = tmp_path / "headless.mp4"
    path.write_bytes(headless)
    scene = Scene(lambda: Live(without_keys(path), scene.clock, gap_s=0.5))
    scene.run()
    assert scene.reasons[1] == "packets come, and no picture in them can be decoded"
    assert scene.told()[1] == "lost"


class WithoutKeys:
    """A recording whose key frames got lost."""

    def __init__(self, recording: Connection) -> None:
        self.facts, self.decoder = recording.facts, recording.decoder
        self.close = recording.close
        self._recording = recording

    def packets(self) -> Iterator[VideoPacket]:
        return (packet for packet in self._recording.packets() if not packet.is_keyframe)


def without_keys(path: Path) -> Connection:
    return WithoutKeys(recording(path))


def test_a_fault_of_ours_does_not_end_the_capture(
    clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fault() -> Connection:
        raise ZeroDivisionError

    scene = Scene(fault, lambda: recording(clip))
    scene.run()
    assert scene.told() == ["connecting", "lost", "connecting", "running", "ended"]
    assert "code=server_error" in caplog.text


def test_a_recording_without_pictures_fails(tmp_path: Path) -> None:
    path = tmp_path / "headless.h264"
    path.write_bytes(video(range(20), gop=60, container="h264"))
    scene = Scene(lambda: without_keys(path), loop=True)
    scene.run()
    assert scene.told() == ["connecting", "failed"]


def test_when_it_is_told_to_stop_it_stops_and_says_nothing(clip: Path) -> None:
    scene = Scene(lambda: recording(clip))
    scene.when_told = scene.stop
    scene.run()
    assert scene.numbers() == [0]
    assert scene.tracker.standing.state is StreamState.RUNNING
