"""Every error of FFmpeg has words of ours, and none of its own get through."""

from collections.abc import Iterator

import av
import pytest

from contracts.errors import (
    SourceEnded,
    SourceError,
    SourceStalled,
    SourceUnauthorized,
    SourceUnreachable,
    SourceUnsupported,
)
from live.sources.av_errors import AV_ERRORS, source_error

URL = "rtsp://ann:sesame@cam/1"


def classes(cls: type[av.error.FFmpegError]) -> Iterator[type[av.error.FFmpegError]]:
    yield cls
    for below in cls.__subclasses__():
        yield from classes(below)


def made(cls: type[av.error.FFmpegError]) -> av.error.FFmpegError:
    return cls(-5, f"Failed to open {URL}", URL, (16, (16, "rtsp", f"DESCRIBE {URL}")))


@pytest.mark.parametrize("cls", list(classes(av.error.FFmpegError)))
def test_every_class_of_the_library_is_translated_without_its_text(
    cls: type[av.error.FFmpegError],
) -> None:
    error = source_error(made(cls))
    assert isinstance(error, SourceError)
    assert "sesame" not in f"{error} {error!r} {error.args}"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (av.error.HTTPUnauthorizedError, SourceUnauthorized),
        (av.error.ExitError, SourceStalled),
        (av.error.TimeoutError, SourceStalled),
        (av.error.EOFError, SourceEnded),
        (av.error.ConnectionRefusedError, SourceUnreachable),
        (av.error.DecoderNotFoundError, SourceUnsupported),
        (av.error.OSError, SourceUnreachable),
    ],
)
def test_the_table_says_what_it_means(
    theirs: type[av.error.FFmpegError], ours: type[SourceError]
) -> None:
    assert type(source_error(made(theirs))) is ours


def test_no_line_of_the_table_hides_a_later_one() -> None:
    for index, (theirs, _, _) in enumerate(AV_ERRORS):
        assert not any(issubclass(theirs, before) for before, _, _ in AV_ERRORS[:index])
