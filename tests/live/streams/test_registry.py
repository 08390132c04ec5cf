"""Several live streams, with real sources and real threads."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import av
import pytest

from contracts.errors import (
    ShuttingDown,
    SourceUnreachable,
    StreamExists,
    StreamLimitReached,
    StreamNoFreshFrame,
    StreamNotFound,
    StreamUrlNotAllowed,
)
from contracts.streams import LiveStreams, LookBack, StreamChange, StreamState
from live.sources.connection import Connection
from live.sources.source import Source
from live.sources.stop_signal import StopSignal
from tests.live.clocks import ShiftedClock
from tests.live.pictures import number_of, video
from tests.live.registries import PATIENCE_S, config, registry
from tests.live.rtsp_cameras import NumberedPictures, rtsp_camera


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    video(range(45), target=folder / "a.mp4", gop=15)
    video(range(100, 145), target=folder / "b.mp4", gop=15, size_wh=(160, 120))
    (folder / "text.mp4").write_text("hello")
    return folder


def wait_for_frames(streams: LiveStreams, stream_id: str, count: int) -> None:
    sequence = 0
    while sequence < count:
        newer = streams.wait_newer(stream_id, sequence, timeout_s=PATIENCE_S)
        assert newer > sequence
        sequence = newer


def test_two_streams_run_side_by_side(root: Path) -> None:
    with registry(root) as (streams, changes):
        for name in "ab":
            streams.add(config(name, f"file://{root}/{name}.mp4", loop=True, sample_fps=10.0))
        for name in "ab":
            wait_for_frames(streams, name, 5)
        newest = streams.newest_of_all()
        assert number_of(newest["a"].rgb) < 100 <= number_of(newest["b"].rgb)
        assert [status.config.id for status in streams.statuses()] == ["a", "b"]
        assert changes.states("a") == changes.states("b") == ["connecting", "running"]


def test_a_status_has_every_figure(root: Path) -> None:
    with registry(root) as (streams, _):
        first = streams.add(config("a", f"file://{root}/b.mp4", loop=True, name="Yard"))
        assert (first.kind, first.url) == ("file", f"file://{root}/b.mp4")
        wait_for_frames(streams, "a", 4)
        status = streams.status("a")
        assert (status.width, status.height, status.codec) == (160, 120, "h264")
        assert status.source_fps == pytest.approx(30)
        assert status.measured_fps is not None
        assert status.frames_captured >= 4
        assert (status.frames_dropped, status.reconnects) == (0, 0)
        assert status.buffer.num_frames >= 4
        assert status.last_frame_at is not None
        assert status.last_frame_age_s is not None
        assert status.state_since <= status.last_frame_at + timedelta(seconds=1)
        assert status.config.name == "Yard"


def test_a_recording_that_is_played_out_ends_and_plays_again_when_it_is_to_loop(root: Path) -> None:
    with registry(root) as (streams, changes):
        once = config("a", f"file://{root}/a.mp4")
        streams.add(once)
        changes.wait_for("a", StreamState.ENDED)
        assert streams.status("a").state_reason == "played out"
        streams.update(replace(once, loop=True))
        changes.wait_for("a", StreamState.RUNNING, count=2)
        assert changes.states("a")[:4] == ["connecting", "running", "ended", "connecting"]


def test_switching_off_keeps_the_frames_and_switching_on_goes_on(root: Path) -> None:
    with registry(root) as (streams, changes):
        on = config("a", f"file://{root}/a.mp4", loop=True, sample_fps=10.0)
        streams.add(on)
        wait_for_frames(streams, "a", 3)
        off = streams.update(replace(on, enabled=False))
        assert (off.state, off.state_reason) == ("ended", "switched off")
        assert off.buffer.num_frames >= 3
        assert streams.clip("a", LookBack(None, 3), allow_stale=True).frames
        before = off.frames_captured
        streams.update(on)
        changes.wait_for("a", StreamState.RUNNING, count=2)
        assert streams.status("a").frames_captured > before
        numbers = [frame.sequence for frame in streams.clip("a", LookBack(None, 99)).frames]
        assert numbers == sorted(set(numbers), key=lambda number: number or 0)


def test_a_stream_may_be_added_switched_off(root: Path) -> None:
    with registry(root) as (streams, changes):
        off = config("a", f"file://{root}/a.mp4", enabled=False)
        assert streams.add(off).state == "ended"
        assert streams.newest("a") is None
        streams.update(replace(off, enabled=True))
        changes.wait_for("a", StreamState.RUNNING)


def test_another_source_is_opened_anew_and_has_no_past(root: Path) -> None:
    with registry(root) as (streams, changes):
        first = config("a", f"file://{root}/a.mp4", loop=True, sample_fps=10.0)
        streams.add(first)
        wait_for_frames(streams, "a", 3)
        sequence = streams.wait_newer("a", 0, timeout_s=0)
        streams.update(replace(first, url=f"file://{root}/b.mp4"))
        changes.wait_for("a", StreamState.RUNNING, count=2)
        frames = streams.clip("a", LookBack(None, 99)).frames
        assert all(number_of(frame.rgb) >= 100 for frame in frames)
        assert all((frame.sequence or 0) > sequence for frame in frames)


def test_a_new_name_or_rate_disturbs_nothing(root: Path) -> None:
    with registry(root) as (streams, changes):
        first = config("a", f"file://{root}/a.mp4", loop=True, sample_fps=1.0)
        streams.add(first)
        wait_for_frames(streams, "a", 1)
        updated = streams.update(replace(first, name="Yard", sample_fps=20.0))
        assert (updated.state, updated.config.name) == ("running", "Yard")
        wait_for_frames(streams, "a", 10)
        assert changes.states("a") == ["connecting", "running"]


def test_more_may_be_sampled_for_a_while(root: Path) -> None:
    with registry(root) as (streams, _):
        streams.add(config("a", f"file://{root}/a.mp4", loop=True, sample_fps=0.2))
        with streams.sampling_at_least("a", 20), streams.sampling_at_least("a", 5):
            wait_for_frames(streams, "a", 10)


def test_frames_older_than_allowed_are_not_given_unless_they_may_be(root: Path) -> None:
    clock = ShiftedClock()
    with registry(root, clock=clock) as (streams, changes):
        streams.add(config("a", f"file://{root}/a.mp4", sample_fps=30.0))
        changes.wait_for("a", StreamState.ENDED)
        assert streams.clip("a", LookBack()).frames
        clock.ahead_s = 11
        with pytest.raises(StreamNoFreshFrame, match="live stream a is ended") as caught:
            streams.clip("a", LookBack())
        assert not caught.value.is_retryable
        clip = streams.clip("a", LookBack(1.0, 4), allow_stale=True)
        assert [number_of(frame.rgb) for frame in clip.frames] == [14, 24, 34, 44]
        assert clip.frame_times_s == pytest.approx((0, 1 / 3, 2 / 3, 1), abs=0.1)


def test_before_the_first_frame_there_is_none_to_be_given() -> None:
    with registry(open_source=Refusing()) as (streams, changes):
        streams.add(config("a", "rtsp://cam/1"))
        changes.wait_for("a", StreamState.LOST)
        with pytest.raises(StreamNoFreshFrame, match="has no frame") as caught:
            streams.clip("a", LookBack(), allow_stale=True)
        assert caught.value.is_retryable
        assert streams.newest_of_all() == {}
        status = streams.status("a")
        assert status.state_reason == "the source refuses connections"
        assert status.next_retry_in_s is not None


class Refusing:
    """A network without cameras."""

    def __call__(self, source: Source, *, silence_s: float, stop: StopSignal) -> Connection:
        raise SourceUnreachable("the source refuses connections")


def test_a_file_that_is_no_video_has_failed(root: Path) -> None:
    with registry(root) as (streams, changes):
        streams.add(config("text", f"file://{root}/text.mp4"))
        changes.wait_for("text", StreamState.FAILED)
        status = streams.status("text")
        assert status.state_reason == "the file is damaged, or no video of a known format"


def test_what_is_not_permitted_any_more_has_failed_and_can_be_changed(root: Path) -> None:
    with registry(root) as (streams, changes):
        streams.restore(config("a", "file:///etc/passwd"))
        changes.wait_for("a", StreamState.FAILED)
        status = streams.status("a")
        assert status.state_reason == "the file is not inside VLM_STREAM_ROOT"
        assert [(one.before, one.state) for one in changes.seen][-1] == ("connecting", "failed")
        renamed = streams.update(replace(status.config, name="Door"))
        assert renamed.config.name == "Door"
        with pytest.raises(StreamUrlNotAllowed):
            streams.update(replace(status.config, url="file:///etc/group"))
        streams.update(replace(status.config, url=f"file://{root}/a.mp4", loop=True))
        changes.wait_for("a", StreamState.RUNNING)


def test_streams_beyond_the_limit_have_failed_until_there_is_room(root: Path) -> None:
    with registry(root, max_streams=1) as (streams, changes):
        streams.restore(config("a", f"file://{root}/a.mp4", loop=True))
        streams.restore(config("b", f"file://{root}/b.mp4", loop=True))
        changes.wait_for("a", StreamState.RUNNING)
        changes.wait_for("b", StreamState.FAILED)
        reason = streams.status("b").state_reason
        assert reason == "there are more live streams than VLM_MAX_STREAMS allows"
        streams.remove("a")
        streams.update(replace(streams.status("b").config, enabled=True))
        changes.wait_for("b", StreamState.RUNNING)


def test_the_moment_of_a_state_stays_the_same(root: Path) -> None:
    with registry(root) as (streams, changes):
        streams.add(config("a", f"file://{root}/a.mp4", loop=True))
        changes.wait_for("a", StreamState.RUNNING)
        moments = {streams.status("a").state_since for _ in range(50)}
        assert moments == {changes.seen[-1].at}


@pytest.mark.parametrize(
    "url", ["csi://0", "file:///etc/passwd", "http://cam/", "v4l2:///dev/null"]
)
def test_what_is_not_permitted_is_not_added(root: Path, url: str) -> None:
    with registry(root) as (streams, changes):
        with pytest.raises(StreamUrlNotAllowed):
            streams.add(config("a", url))
        assert streams.statuses() == []
        assert changes.seen == []


def test_a_change_that_is_refused_changes_nothing(root: Path) -> None:
    with registry(root) as (streams, changes):
        first = config("a", f"file://{root}/a.mp4", loop=True)
        streams.add(first)
        streams.add(config("b", f"file://{root}/b.mp4", loop=True))
        changes.wait_for("a", StreamState.RUNNING)
        with pytest.raises(StreamUrlNotAllowed):
            streams.update(replace(first, url="file:///etc/passwd"))
        with pytest.raises(StreamExists) as caught:
            streams.update(replace(first, url=f"file://{root}/b.mp4"))
        assert caught.value.stream_id == "b"
        assert streams.status("a").config == first
        assert streams.status("a").state == "running"


def test_neither_an_id_nor_a_source_comes_twice(root: Path) -> None:
    with registry(root) as (streams, _):
        streams.add(config("a", f"file://{root}/a.mp4"))
        with pytest.raises(StreamExists) as caught:
            streams.add(config("a", f"file://{root}/b.mp4"))
        assert (caught.value.stream_id, caught.value.param) == ("a", "id")
        with pytest.raises(StreamExists) as caught:
            streams.add(config("c", f"file://{root}/../{root.name}/a.mp4"))
        assert (caught.value.stream_id, caught.value.param) == ("a", "url")


def test_there_are_only_so_many(root: Path) -> None:
    with registry(root, max_streams=1) as (streams, _):
        streams.add(config("a", f"file://{root}/a.mp4"))
        with pytest.raises(StreamLimitReached, match="VLM_MAX_STREAMS"):
            streams.add(config("b", f"file://{root}/b.mp4"))
        streams.remove("a")
        streams.add(config("b", f"file://{root}/b.mp4"))


def test_what_is_removed_is_not_there(root: Path) -> None:
    with registry(root) as (streams, changes):
        streams.add(config("a", f"file://{root}/a.mp4", loop=True))
        streams.add(config("b", f"file://{root}/b.mp4", loop=True))
        changes.wait_for("a", StreamState.RUNNING)
        streams.remove("a")
        num_told = len(changes.states("a"))
        for call in (streams.status, streams.remove, streams.newest):
            with pytest.raises(StreamNotFound, match="there are: b"):
                call("a")
        streams.add(config("c", f"file://{root}/a.mp4", loop=True))
        changes.wait_for("c", StreamState.RUNNING)
        assert len(changes.states("a")) == num_told


def test_whoever_waits_for_a_frame_of_a_removed_stream_is_let_go(root: Path) -> None:
    with registry(root) as (streams, changes):
        streams.add(config("a", f"file://{root}/a.mp4"))
        changes.wait_for("a", StreamState.ENDED)
        got: list[int] = []
        waiter = threading.Thread(
            target=lambda: got.append(streams.wait_newer("a", 10**9, timeout_s=PATIENCE_S))
        )
        waiter.start()
        streams.remove("a")
        waiter.join(PATIENCE_S)
        assert not waiter.is_alive()


def test_a_listener_may_fail_or_leave(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with registry(root) as (streams, changes):

        def fail(change: StreamChange) -> None:
            raise ZeroDivisionError

        end = streams.subscribe(fail)
        streams.add(config("a", f"file://{root}/a.mp4"))
        changes.wait_for("a", StreamState.ENDED)
        end()
        streams.add(config("b", f"file://{root}/b.mp4"))
        changes.wait_for("b", StreamState.ENDED)
        assert caplog.text.count("a listener failed") == 3


def test_evidence_is_written_from_the_buffer(root: Path, tmp_path: Path) -> None:
    with registry(root) as (streams, changes):
        streams.add(config("a", f"file://{root}/a.mp4", sample_fps=10.0))
        changes.wait_for("a", StreamState.ENDED)
        newest = streams.newest("a")
        assert newest is not None
        assert newest.captured_at is not None
        begin, end = newest.captured_at - timedelta(seconds=0.55), newest.captured_at
        path = tmp_path / "clip.mp4"
        span = streams.write_clip("a", path, begin=begin, end=end)
        assert span is not None
        assert (span.end, span.num_frames) == (end, 6)
        with av.open(str(path), "r") as container:
            assert len(list(container.decode(video=0))) == 6
        before = newest.captured_at - timedelta(days=1)
        assert streams.write_clip("a", path, begin=before, end=before) is None


def test_after_the_end_nothing_begins(root: Path) -> None:
    with registry(root) as (streams, _):
        streams.close()
        with pytest.raises(ShuttingDown):
            streams.add(config("a", f"file://{root}/a.mp4"))


def test_a_camera_that_hangs_is_stalled_then_lost_and_runs_again() -> None:
    pictures = NumberedPictures()
    hangs = threading.Event()
    goes_on = threading.Event()
    draw = pictures.picture

    def picture() -> object:
        if hangs.is_set():
            goes_on.wait(PATIENCE_S)
        return draw()

    pictures.picture = picture  # type: ignore[method-assign, assignment]
    with (
        rtsp_camera(pictures) as camera,
        registry(stale_s=1.5, lost_s=2) as (streams, changes),
    ):
        streams.add(config("a", camera.url(), sample_fps=4.0))
        changes.wait_for("a", StreamState.RUNNING)
        hangs.set()
        changes.wait_for("a", StreamState.STALLED)
        changes.wait_for("a", StreamState.LOST)
        hangs.clear()
        goes_on.set()
        changes.wait_for("a", StreamState.RUNNING, count=2)
        told = changes.states("a")
        assert told[:4] == ["connecting", "running", "stalled", "lost"]
        assert told[-1] == "running"


def test_a_camera_that_goes_and_comes_is_lost_and_found() -> None:
    with registry() as (streams, changes):
        with rtsp_camera() as camera:
            port = camera.port
            streams.add(config("a", camera.url()))
            changes.wait_for("a", StreamState.RUNNING)
        changes.wait_for("a", StreamState.LOST)
        with rtsp_camera(port=port):
            changes.wait_for("a", StreamState.RUNNING, count=2)
        assert changes.states("a")[:5] == [
            "connecting",
            "running",
            "lost",
            "connecting",
            "running",
        ]
        assert streams.status("a").reconnects == 1
