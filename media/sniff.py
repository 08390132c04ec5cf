"""What a file is, by its first bytes; names and declared types are not looked at.

Pure. Recognising is not accepting: a decoder may still refuse what is recognised here.
"""

from dataclasses import dataclass
from typing import Literal

from contracts.errors import UnsupportedMediaType

HEAD_BYTES = 4096  # enough for every signature below and for WebP's size

Family = Literal["image", "video", "other"]
IMAGE_FORMATS = ("jpeg", "png", "webp", "gif", "bmp")
ACCEPTED_IMAGES = "JPEG, PNG, WebP, GIF or BMP"
ACCEPTED_VIDEOS = "MP4/MOV, MKV/WebM, AVI, MPEG-TS/PS, FLV, WMV, OGG, GIF or raw H.264/HEVC"


@dataclass(frozen=True, slots=True)
class Content:
    """What the first bytes say.

    Attributes:
        family: ``image`` also for picture formats that are not accepted, and for GIF.
        name: For people, such as ``PNG`` or ``a playlist``.
        image_format: One of ``IMAGE_FORMATS`` when it is an accepted picture.
    """

    family: Family
    name: str
    image_format: str = ""

    @property
    def is_gif(self) -> bool:
        """Whether it is the one format that is a picture and a video."""
        return self.image_format == "gif"


UNKNOWN = Content("other", "unknown content")

_PREFIXES: tuple[tuple[bytes, Content], ...] = (
    (b"\xff\xd8\xff", Content("image", "JPEG", "jpeg")),
    (b"\x89PNG\r\n\x1a\n", Content("image", "PNG", "png")),
    (b"GIF87a", Content("image", "GIF", "gif")),
    (b"GIF89a", Content("image", "GIF", "gif")),
    (b"BM", Content("image", "BMP", "bmp")),
    (b"II*\0", Content("image", "TIFF")),
    (b"MM\0*", Content("image", "TIFF")),
    (b"\0\0\0\x0cJXL ", Content("image", "JPEG XL")),
    (b"\xff\x0a", Content("image", "JPEG XL")),
    (b"\0\0\0\x0cjP  ", Content("image", "JPEG 2000")),
    (b"8BPS", Content("image", "Photoshop")),
    (b"\x1aE\xdf\xa3", Content("video", "Matroska/WebM")),
    (b"FLV\x01", Content("video", "FLV")),
    (b"OggS", Content("video", "OGG")),
    (b"DKIF", Content("video", "IVF")),
    (b"0&\xb2u\x8ef\xcf\x11", Content("video", "WMV/ASF")),
    (b"\0\0\x01\xba", Content("video", "MPEG-PS")),
    (b"%PDF", Content("other", "a PDF document")),
    (b"PK\x03\x04", Content("other", "a ZIP archive")),
    (b"\x1f\x8b", Content("other", "a gzip archive")),
    (b"ID3", Content("other", "audio")),
    (b"fLaC", Content("other", "audio")),
    (b"#EXTM3U", Content("other", "a playlist")),
    (b"ffconcat", Content("other", "a playlist")),
    (b"[playlist]", Content("other", "a playlist")),
)
_RIFF = {
    b"WEBP": Content("image", "WebP", "webp"),
    b"AVI ": Content("video", "AVI"),
    b"WAVE": Content("other", "audio"),
}
_STILL_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"heim")
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"moof", b"styp")


def sniff(head: bytes) -> Content:
    """Recognise content by at most its first ``HEAD_BYTES`` bytes."""
    for recognise in (_by_prefix, _riff, _iso, _transport_stream, _annex_b, _text):
        content = recognise(head)
        if content is not None:
            return content
    return UNKNOWN


def not_an_image(content: Content) -> UnsupportedMediaType:
    """The refusal of content where a picture is expected."""
    message = f"expected {ACCEPTED_IMAGES}, got {content.name}"
    if content.family == "video":
        message += "; send a video to /analyze_video or as a video_url part"
    return UnsupportedMediaType(message, kind="image")


def not_a_video(content: Content) -> UnsupportedMediaType:
    """The refusal of content where a video is expected."""
    message = f"expected a video ({ACCEPTED_VIDEOS}), got {content.name}"
    if content.family == "image":
        message += "; send a picture to /analyze_image or as an image_url part"
    return UnsupportedMediaType(message, kind="video")


def _by_prefix(head: bytes) -> Content | None:
    return next((content for prefix, content in _PREFIXES if head.startswith(prefix)), None)


def _riff(head: bytes) -> Content | None:
    return _RIFF.get(head[8:12]) if head.startswith(b"RIFF") else None


def _iso(head: bytes) -> Content | None:
    if head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS:
        return Content("image", "AVIF/HEIC")
    return Content("video", "MP4/MOV") if head[4:8] in _MP4_BOXES else None


def _transport_stream(head: bytes) -> Content | None:
    for first, packet_bytes in ((0, 188), (4, 192), (0, 204)):
        syncs = head[first : first + 3 * packet_bytes : packet_bytes]
        if syncs == b"GGG":
            return Content("video", "MPEG-TS")
    return None


def _annex_b(head: bytes) -> Content | None:
    start = head[:5].lstrip(b"\0")
    if head.startswith(b"\0\0") and start.startswith(b"\x01"):
        return Content("video", "raw H.264/HEVC")
    return None


def _text(head: bytes) -> Content | None:
    stripped = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    lowered = stripped[:512].lower()
    if lowered.startswith((b"<!doctype html", b"<html")):
        return Content("other", "an HTML page")
    if b"<svg" in lowered:
        return Content("image", "SVG")
    if b"<mpd" in lowered or lowered.startswith(b"#extm3u"):
        return Content("other", "a playlist")
    if stripped and not any(byte < 9 or 14 <= byte < 32 or byte == 127 for byte in head):
        return Content("other", "text") if _is_utf8(head) else None
    return None


def _is_utf8(head: bytes) -> bool:
    try:
        head[:-4].decode()  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return True
