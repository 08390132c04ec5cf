import pytest

from media.sniff import Content, sniff
from tests.media.conftest import KINDS, Corpus


def test_every_clip_of_the_corpus_is_recognised(corpus: Corpus) -> None:
    for clip in corpus.values():
        content = sniff(clip.path.read_bytes()[:4096])
        if clip.expect != "reject":
            assert content.family == "video" or content.is_gif, clip.path.name
    assert set(corpus) == set(KINDS)


@pytest.mark.parametrize(
    ("head", "content"),
    [
        (b"%PDF-1.7\n", Content("other", "a PDF document")),
        (b"#EXTM3U\n#EXT-X", Content("other", "a playlist")),
        (b"\n\xef\xbb\xbf #EXTM3U", Content("other", "text")),
        (b"\xef\xbb\xbf#EXTM3U\n", Content("other", "a playlist")),
        (b"ffconcat version 1.0\n", Content("other", "a playlist")),
        (b"<?xml version='1.0'?><MPD>", Content("other", "a playlist")),
        (b"<!DOCTYPE html><html>", Content("other", "an HTML page")),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", Content("image", "SVG")),
        (b"Not a video.\n" * 9, Content("other", "text")),
        (b"\0\0\0\x1cftypavif\0\0\0\0", Content("image", "AVIF/HEIC")),
        (b"\0\0\0\x1cftypisom\0\0\0\0", Content("video", "MP4/MOV")),
        (b"RIFF\0\0\0\0WAVEfmt ", Content("other", "audio")),
        (b"\0\0\0\x01\x67\x42", Content("video", "raw H.264/HEVC")),
        (b"\0\0\x01\xba\x44", Content("video", "MPEG-PS")),
        (b"II*\0", Content("image", "TIFF")),
        (b"\x93\x11\xff\xd0", Content("other", "unknown content")),
        (b"", Content("other", "unknown content")),
    ],
)
def test_content_by_its_first_bytes(head: bytes, content: Content) -> None:
    assert sniff(head) == content
