"""Live streams as values."""

from datetime import UTC, datetime

from contracts.streams import StreamConfig, StreamState

NOW = datetime(2026, 11, 20, 17, 17, tzinfo=UTC)


def test_a_configuration_does_not_show_its_credentials() -> None:
    config = StreamConfig(
        "door", "rtsp://ann:sesame@cam/", NOW, username="ann", password="open sesame"
    )
    assert "sesame" not in repr(config)
    assert "ann" not in repr(config)


def test_states_are_the_words_of_the_api() -> None:
    words = ["connecting", "running", "stalled", "lost", "ended", "failed"]
    assert [str(state) for state in StreamState] == words
