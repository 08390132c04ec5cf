"""The tree of errors and what each of them says of itself."""

import re
from collections.abc import Iterator

import pytest

from contracts import errors
from contracts.errors import (
    MediaError,
    MediaKind,
    OutOfMemory,
    QueueFull,
    RequestError,
    ServiceError,
    SourceEnded,
    SourceStalled,
    SourceUnauthorized,
    SourceUnreachable,
    StreamExists,
    StreamNoFreshFrame,
)


def draw(cls: type[ServiceError], depth: int = 0) -> str:
    """The subclass tree, one name per line, two spaces per level."""
    below = "".join(draw(sub, depth + 1) for sub in cls.__subclasses__())
    return f"{'  ' * depth}{cls.__name__}\n{below}"


def classes(cls: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    yield cls
    for sub in cls.__subclasses__():
        yield from classes(sub)


RAISED = [
    cls for cls in classes() if {"code", "code_of_kind"} & {*vars(cls)} and cls is not MediaError
]


def made(cls: type[ServiceError], kind: MediaKind = "video") -> ServiceError:
    return cls("why", kind=kind) if issubclass(cls, MediaError) else cls("why")


def test_the_docstring_draws_the_real_tree() -> None:
    assert draw(ServiceError) in (errors.__doc__ or "")


def test_every_class_says_in_one_sentence_what_happened() -> None:
    for cls in classes():
        assert (cls.__doc__ or "").split("\n")[0].endswith("."), cls


def test_every_code_has_one_class() -> None:
    codes = [made(cls).code for cls in RAISED if made(cls).code != "server_error"]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z0-9_]+", code) for code in codes)


@pytest.mark.parametrize("kind", ["image", "video"])
def test_the_code_of_a_media_error_names_its_kind(kind: MediaKind) -> None:
    for cls in RAISED:
        error = made(cls, kind)
        if isinstance(error, MediaError):
            assert error.code == error.code_of_kind.format(kind=kind)
            assert "{" not in error.code


@pytest.mark.parametrize("cls", list(classes()), ids=lambda cls: cls.__name__)
def test_status_type_and_retry_go_together(cls: type[ServiceError]) -> None:
    if cls is MediaError:
        return
    error = made(cls)
    expected = "invalid_request_error" if error.status < 500 else "server_error"
    assert error.type == ("rate_limit_error" if error.status == 429 else expected)
    may_help = error.status in (429, 503) and cls is not OutOfMemory
    assert error.is_retryable == may_help
    assert (error.retry_after_s is not None) == error.is_retryable
    assert issubclass(cls, RequestError) == (400 <= error.status < 500 and error.status != 429)


def test_message_and_param_are_kept() -> None:
    error = RequestError("why", param="a.b")
    assert (str(error), error.message, error.param) == ("why", "why", "a.b")
    assert QueueFull("full", retry_after_s=9).retry_after_s == 9


def test_a_stream_that_is_over_is_not_worth_another_try() -> None:
    error = StreamNoFreshFrame("ended", is_retryable=False)
    assert not error.is_retryable
    assert error.retry_after_s is None
    assert StreamNoFreshFrame("stalled").retry_after_s == 5


def test_whoever_adds_a_source_twice_learns_which_stream_has_it() -> None:
    assert StreamExists("taken", stream_id="door", param="url").stream_id == "door"


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (SourceUnreachable, ConnectionError),
        (SourceUnauthorized, PermissionError),
        (SourceStalled, TimeoutError),
        (SourceEnded, EOFError),
    ],
)
def test_a_source_fails_as_python_would_say(
    error: type[ServiceError], builtin: type[Exception]
) -> None:
    assert issubclass(error, builtin)
    assert str(error("the camera is gone")) == "the camera is gone"
