"""Live streams as the settings want them."""

from pathlib import Path

import pytest

from contracts.errors import StreamLimitReached, StreamUrlNotAllowed
from contracts.settings import Settings
from contracts.streams import StreamState
from live.streams.opening import open_streams
from tests.live.pictures import video
from tests.live.registries import Changes, NoWeb, config


def test_the_settings_decide(tmp_path: Path) -> None:
    video(range(20), target=tmp_path / "a.mp4")
    settings = Settings(max_streams=1, stream_allow=("cam.lan",), stream_root=str(tmp_path))
    streams, changes = open_streams(settings, NoWeb()), Changes()
    streams.subscribe(changes)
    try:
        with pytest.raises(StreamUrlNotAllowed, match="VLM_STREAM_ALLOW"):
            streams.add(config("b", "rtsp://other.lan/"))
        streams.add(config("a", f"file://{tmp_path}/a.mp4"))
        changes.wait_for("a", StreamState.ENDED)
        with pytest.raises(StreamLimitReached):
            streams.add(config("b", "rtsp://cam.lan/"))
    finally:
        streams.close()


def test_without_a_root_there_are_no_files(tmp_path: Path) -> None:
    streams = open_streams(Settings(), NoWeb())
    try:
        with pytest.raises(StreamUrlNotAllowed, match="VLM_STREAM_ROOT"):
            streams.add(config("a", f"file://{tmp_path}/a.mp4"))
    finally:
        streams.close()
