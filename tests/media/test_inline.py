import base64
import tracemalloc

import pytest

from contracts.errors import FileTooLarge, InvalidBase64, InvalidUrl, MediaError, UrlNotAllowed
from media.inline import as_frame_list, decode_inline, is_remote

CONTENT = bytes(range(256)) * 3
ENCODED = base64.b64encode(CONTENT).decode()
MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    "url",
    [
        ENCODED,
        f"data:image/png;base64,{ENCODED}",
        f"data:;base64,{ENCODED}",
        f"DATA:text/plain;charset=utf-8;BASE64,{ENCODED}",
        "\n".join(ENCODED[i : i + 76] for i in range(0, len(ENCODED), 76)) + "\r\n ",
        "data:image/png;base64," + ENCODED.replace("+", "%2B").replace("/", "%2F"),
        f"data:image/png;base64,{ENCODED[:8]}%0d%0A%20{ENCODED[8:]}".replace("=", "%3d"),
    ],
)
def test_base64_with_and_without_a_prefix(url: str) -> None:
    assert not is_remote(url, "image")
    assert decode_inline(url, MEGABYTE, "image") == CONTENT


@pytest.mark.parametrize(
    "url",
    ["abc", "ab=c", "a*bc", "data:image/png,abcd", "data:image/png;base64", "ä" * 4, ENCODED[:-1]],
)
def test_what_does_not_decode_is_refused(url: str) -> None:
    with pytest.raises(InvalidBase64):
        decode_inline(url, MEGABYTE, "video")


def test_the_cap_holds_before_decoding() -> None:
    assert len(decode_inline(ENCODED, len(CONTENT), "image")) == len(CONTENT)
    with pytest.raises(FileTooLarge):
        decode_inline("A" * 4 * MEGABYTE, 2 * MEGABYTE, "image")
    with pytest.raises(FileTooLarge):
        decode_inline("!" * 4 * MEGABYTE, 2 * MEGABYTE, "image")


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("rtsp://user:secret@camera/1", UrlNotAllowed),
        ("v4l2:///dev/video0", UrlNotAllowed),
        ("csi:0", UrlNotAllowed),
        ("file:///etc/passwd", UrlNotAllowed),
        ("ftp://host/x", UrlNotAllowed),
        ("javascript:alert(1)", UrlNotAllowed),
        ("example.com/cat.jpg", InvalidUrl),
        ("www.example.com", InvalidUrl),
        ("10.0.0.1:8000/x.mp4", InvalidUrl),
    ],
)
def test_other_schemes_are_refused_without_repeating_the_url(
    url: str, error: type[MediaError]
) -> None:
    with pytest.raises(error) as caught:
        is_remote(url, "video")
    assert "secret" not in caught.value.message
    if error is UrlNotAllowed:
        assert "register a stream" in caught.value.message


def test_frame_lists_are_recognised() -> None:
    frames = as_frame_list("data:video/jpeg;base64,AAAA,BBBB, CCCC", 2.0)
    assert frames is not None
    assert (frames.urls, frames.fps) == (("AAAA", "BBBB", " CCCC"), 2.0)
    assert as_frame_list("data:video/mp4;base64,AAAA", None) is None
    assert as_frame_list("https://host/data:video/jpeg", None) is None


def test_escapes_take_no_memory_of_their_own() -> None:
    url = "data:image/png;base64," + "%41" * 500_000
    tracemalloc.start()
    with pytest.raises(InvalidBase64):
        decode_inline(url, 1 << 30, "image")
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 4 * len(url)


def test_a_scheme_is_looked_for_at_the_beginning_only() -> None:
    assert not is_remote("a" * 300 + ":", "image")
