import io
import os
import struct
import tempfile
import zlib

import numpy as np
import pytest
from PIL import Image

from contracts.errors import ParseError, PictureTooLarge
from contracts.media import U8, PixelRange
from media.images import header_size_wh, read_image
from media.jobs import ImageJob, PictureAnswer, PixelSink
from media.sniff import IMAGE_FORMATS, sniff

MAX_PIXELS = 50_000_000
RED, GREEN, WHITE = (200, 30, 30), (30, 180, 60), (255, 255, 255)


def encode(picture: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


def decode(encoded: bytes, pixels: PixelRange | None = None) -> tuple[PictureAnswer, U8]:
    """Decode in this process, as a decoder process would."""
    job = ImageJob(sniff(encoded).image_format, MAX_PIXELS, pixels or PixelRange())
    with tempfile.TemporaryFile() as medium, tempfile.TemporaryFile() as output:
        medium.write(encoded)
        medium.flush()
        sink = PixelSink(output.fileno(), 1 << 30, "image")
        answer = read_image(job, medium.fileno(), sink)
        rgb = np.frombuffer(os.pread(output.fileno(), 1 << 30, 0), np.uint8)
    return answer, rgb.reshape(answer.shape)


def two_halves(size_wh: tuple[int, int] = (40, 20)) -> Image.Image:
    """Red on the left, green on the right."""
    picture = Image.new("RGB", size_wh, RED)
    picture.paste(GREEN, (size_wh[0] // 2, 0, *size_wh))
    return picture


@pytest.mark.parametrize("name", IMAGE_FORMATS)
def test_every_accepted_format_is_recognised_and_decoded(name: str) -> None:
    encoded = encode(two_halves(), name)
    assert sniff(encoded).image_format == name
    answer, rgb = decode(encoded)
    assert (answer.width, answer.height, rgb.shape) == (40, 20, (20, 40, 3))
    assert abs(rgb[10, 5].astype(int) - RED).max() < 12
    assert abs(rgb[10, 35].astype(int) - GREEN).max() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = Image.new("RGB", (40, 24), WHITE)
    upright.paste(RED, (0, 0, 20, 12))  # top left
    upright.paste(GREEN, (20, 0, 40, 12))  # top right
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    answer, rgb = decode(encode(stored, "PNG", exif=exif))
    assert (answer.width, answer.height) == (40, 24)
    assert np.array_equal(rgb, np.asarray(upright))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_passed_over() -> None:
    damaged = encode(two_halves(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 40)
    assert decode(damaged)[1].shape == (20, 40, 3)


def palette_with_transparency() -> Image.Image:
    picture = two_halves().quantize(4)
    picture.info["transparency"] = picture.getpixel((0, 0))
    return picture


@pytest.mark.parametrize(
    ("picture", "name", "left", "right"),
    [
        (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG", WHITE, WHITE),
        (Image.new("RGBA", (8, 8), (200, 0, 0, 128)), "PNG", (227, 127, 127), (227, 127, 127)),
        (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "WEBP", WHITE, WHITE),
        (Image.new("LA", (8, 8), (0, 0)), "PNG", WHITE, WHITE),
        (Image.new("L", (8, 8), 77), "PNG", (77, 77, 77), (77, 77, 77)),
        (Image.new("1", (8, 8), 1), "PNG", WHITE, WHITE),
        (palette_with_transparency(), "PNG", WHITE, GREEN),
        (two_halves().quantize(4), "GIF", RED, GREEN),
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", (255, 0, 0), (255, 0, 0)),
    ],
    ids=str,
)
def test_every_mode_becomes_rgb_over_white(
    picture: Image.Image, name: str, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    transparency = picture.info.get("transparency")
    options = {} if transparency is None else {"transparency": transparency}
    rgb = decode(encode(picture, name, **options))[1]
    assert abs(rgb[4, 1].astype(int) - left).max() <= 3
    assert abs(rgb[4, -2].astype(int) - right).max() <= 3


def test_sixteen_bits_keep_their_range() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, 256).repeat(4, 0)
    rgb = decode(encode(Image.fromarray(ramp), "PNG"))[1]
    assert abs(rgb[0, :, 0].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_picture(name: str) -> None:
    later = [Image.new("RGB", (16, 16), GREEN)]
    encoded = encode(Image.new("RGB", (16, 16), RED), name, save_all=True, append_images=later)
    assert abs(decode(encoded)[1][8, 8].astype(int) - RED).max() < 12


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


def bmp_header(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 1 << 20, 0, 0, 54) + info + bytes(100)


def webp_header(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas


@pytest.mark.parametrize(
    "encoded",
    [png_header(20_000, 15_000), bmp_header(20_000, 15_000), webp_header(16_000, 16_000)],
    ids=["png", "bmp", "webp"],
)
def test_a_header_of_300_megapixels_is_refused_unread(encoded: bytes) -> None:
    with pytest.raises(PictureTooLarge, match="50000000"):
        decode(encoded)


@pytest.mark.parametrize(
    "options", [{"lossless": True}, {"lossless": False}, {"exif": b"Exif\0\0"}]
)
def test_the_size_of_a_webp_is_read_from_its_header(options: dict[str, object]) -> None:
    assert header_size_wh(encode(two_halves((321, 123)), "WEBP", **options)) == (321, 123)


@pytest.mark.parametrize("name", IMAGE_FORMATS)
@pytest.mark.parametrize("share", [0.2, 0.7])
def test_a_cut_file_is_damaged(name: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    encoded = encode(Image.fromarray(noise), name)
    with pytest.raises(ParseError):
        decode(encoded[: int(len(encoded) * share)])


@pytest.mark.parametrize("name", IMAGE_FORMATS)
def test_noise_in_a_file_is_refused_or_decoded_and_nothing_else(name: str) -> None:
    rng = np.random.default_rng(3)
    whole = encode(two_halves((64, 48)), name)
    for _ in range(40):
        noisy = bytearray(whole)
        for place in rng.integers(12, len(whole), 8):
            noisy[place] = int(rng.integers(0, 256))
        try:
            decode(bytes(noisy))
        except (ParseError, PictureTooLarge):
            continue


@pytest.mark.parametrize(
    ("pixels", "size_wh"),
    [
        (PixelRange(max_pixels=5_000), (100, 50)),
        (PixelRange(min_pixels=80_000), (400, 200)),
        (PixelRange(min_pixels=100, max_pixels=10**6), (200, 100)),
        (PixelRange(max_pixels=1), (1, 1)),
    ],
)
def test_a_picture_is_scaled_into_the_asked_range(
    pixels: PixelRange, size_wh: tuple[int, int]
) -> None:
    answer, rgb = decode(encode(two_halves((200, 100)), "PNG"), pixels)
    assert (answer.width, answer.height) == (200, 100)
    assert rgb.shape == (size_wh[1], size_wh[0], 3)
