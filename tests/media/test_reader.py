"""The reader as the service uses it: real files, real hosts, real decoder processes."""

import base64
import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from contracts.errors import (
    ConflictingParameters,
    EmptyFile,
    EmptyTimeRange,
    FileTooLarge,
    MediaError,
    MissingMedia,
    ParseError,
    PictureTooLarge,
    ServiceError,
    TooManyFrames,
    TooManyMedia,
    UnsupportedMediaType,
    UnsupportedParameter,
    UrlNotAllowed,
)
from contracts.media import (
    Clip,
    FrameList,
    FramePolicy,
    FrameSampling,
    MediaReader,
    MediaUrl,
    Picture,
    PixelRange,
    UploadedFile,
)
from contracts.settings import Settings
from media.limits import MEGABYTE, FetchLimits, MediaLimits
from media.reader import IsolatedMediaReader
from tests.media.conftest import KINDS, Corpus, children_of, open_descriptors
from tests.media.http_hosts import respond, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = Settings(media_allow=("127.0.0.1",), max_video_mb=2, max_image_mb=1)
POLICY = FramePolicy(num_frames=16, size_wh=None)
ANY = PixelRange()
REJECTED: dict[str, type[MediaError]] = {
    "truncated_nomoov": ParseError,
    "index_bomb": ParseError,
    "zero_byte": EmptyFile,
    "text_as_mp4": UnsupportedMediaType,
    "random_bytes": UnsupportedMediaType,
    "audio_only": ParseError,
    "hls_ssrf": UnsupportedMediaType,
    "concat_lfi": UnsupportedMediaType,
    "hls_sibling": UnsupportedMediaType,
    "concat_sibling": UnsupportedMediaType,
    "huge_header": ParseError,
    "huge_legal": PictureTooLarge,
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def reader() -> AsyncIterator[MediaReader]:
    reader = IsolatedMediaReader(SETTINGS)
    yield reader
    await reader.close()


def png(size_wh: tuple[int, int] = (32, 16), grey: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size_wh, (grey, grey, grey)).save(file, "PNG")
    return file.getvalue()


def data_url(content: bytes) -> MediaUrl:
    return MediaUrl("data:application/octet-stream;base64," + base64.b64encode(content).decode())


async def read(reader: MediaReader, path: Path, sampling: FrameSampling | None = None) -> Clip:
    return await reader.read_clip(
        UploadedFile(path), sampling or FrameSampling(), policy=POLICY, pixels=ANY
    )


@pytest.mark.parametrize("name", [name for name, expect in KINDS.items() if expect != "reject"])
async def test_every_readable_kind_gives_the_very_frames(
    reader: MediaReader, corpus: Corpus, name: str
) -> None:
    made = corpus[name]
    clip = await read(reader, made.path)
    assert (clip.width, clip.height) == (made.entry["width"], made.entry["height"])
    if made.expect == "ok":
        assert clip.num_source_frames == made.entry["frames"]
        assert clip.duration_s == pytest.approx(made.entry["duration_s"], abs=0.002)
        assert len(clip.frames) == min(16, made.entry["frames"])
        assert clip.warnings == ()
    else:
        assert clip.warnings
    if made.entry["code"]:
        numbers = made.numbers([frame.rgb for frame in clip.frames])
        assert numbers == [made.number_at(t) for t in clip.frame_times_s]
        assert numbers[0] == 0


@dataclass
class NotedClaim:
    """What was asked for and what came."""

    most_bytes: list[int] = field(default_factory=list)
    held_bytes: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def room(self, most_bytes: int) -> AsyncIterator[None]:
        self.most_bytes.append(most_bytes)
        yield

    def hold(self, num_bytes: int) -> None:
        self.held_bytes.append(num_bytes)


async def test_pixels_are_counted_within_the_room_that_was_asked_for(
    reader: MediaReader, corpus: Corpus
) -> None:
    claim = NotedClaim()
    source = data_url(png((20, 10)))
    policy = FramePolicy(num_frames=2, size_wh=(8, 8))
    await reader.read_image(source, pixels=ANY, claim=claim)
    await reader.read_image_or_clip(
        source, policy=policy, pixels=PixelRange(max_pixels=200), claim=claim
    )
    for clip in (UploadedFile(corpus["rotated90"].path), FrameList((source.url,) * 2)):
        await reader.read_clip(clip, FrameSampling(), policy=policy, pixels=ANY, claim=claim)
    assert claim.held_bytes == [600, 600, 384, 384]
    assert claim.most_bytes == [150_000_000, 600, 64 * 192, 64 * 192]


async def test_a_video_is_told_before_it_is_decoded(reader: MediaReader) -> None:
    def refuse() -> None:
        raise TooManyMedia("one too many")

    damaged_video = data_url(b"\x1aE\xdf\xa3" + bytes(100))
    for source in (damaged_video, FrameList((data_url(png()).url,))):
        with pytest.raises(TooManyMedia):
            await reader.read_image_or_clip(source, policy=POLICY, pixels=ANY, on_clip=refuse)
    picture = data_url(png())
    assert await reader.read_image_or_clip(picture, policy=POLICY, pixels=ANY, on_clip=refuse)


@pytest.mark.parametrize("name", [name for name, expect in KINDS.items() if expect == "reject"])
async def test_every_bad_kind_is_refused_and_the_reader_goes_on(
    reader: MediaReader, corpus: Corpus, name: str
) -> None:
    with pytest.raises(REJECTED[name]) as caught:
        await read(reader, corpus[name].path)
    assert caught.value.status == 400
    assert str(corpus[name].path.parent) not in caught.value.message
    assert len((await read(reader, corpus["one_frame"].path)).frames) == 1


async def test_frames_are_squashed_to_the_models_size(reader: MediaReader, corpus: Corpus) -> None:
    policy = FramePolicy(num_frames=4, size_wh=(384, 384))
    source = UploadedFile(corpus["rotated90"].path)
    clip = await reader.read_clip(source, FrameSampling(), policy=policy, pixels=ANY)
    assert {frame.rgb.shape for frame in clip.frames} == {(384, 384, 3)}
    assert (clip.width, clip.height, clip.sampled_by) == (180, 320, "default")
    assert clip.decode_s > 0


@pytest.mark.parametrize(
    ("sampling", "error"),
    [
        (FrameSampling(fps=1, num_frames=4), ConflictingParameters),
        (FrameSampling(start_s=4, end_s=2), ConflictingParameters),
        (FrameSampling(num_frames=65), TooManyFrames),
    ],
)
async def test_contradictions_are_refused_before_anything_is_opened(
    reader: MediaReader, sampling: FrameSampling, error: type[ServiceError]
) -> None:
    with pytest.raises(error):
        await read(reader, Path("/does/not/exist"), sampling)


async def test_an_empty_range_names_the_duration(reader: MediaReader, corpus: Corpus) -> None:
    with pytest.raises(EmptyTimeRange, match=r"3\.000 s") as caught:
        await read(reader, corpus["hevc"].path, FrameSampling(start_s=5))
    assert caught.value.param == "start_s"


async def test_the_wrong_kind_is_told_where_it_belongs(reader: MediaReader, corpus: Corpus) -> None:
    with pytest.raises(UnsupportedMediaType, match="/analyze_image") as caught:
        await reader.read_clip(data_url(png()), FrameSampling(), policy=POLICY, pixels=ANY)
    assert caught.value.code == "unsupported_video_media_type"
    with pytest.raises(UnsupportedMediaType, match="/analyze_video") as caught:
        await reader.read_image(UploadedFile(corpus["hevc"].path), pixels=ANY)
    assert caught.value.code == "unsupported_image_media_type"


@pytest.mark.parametrize(
    "content", [b"%PDF-1.7 ...", b"hello there", b"<html></html>", b"II*\0abc"]
)
async def test_other_content_is_unsupported_on_both_routes(
    reader: MediaReader, content: bytes
) -> None:
    with pytest.raises(UnsupportedMediaType):
        await reader.read_image(data_url(content), pixels=ANY)
    with pytest.raises(UnsupportedMediaType):
        await reader.read_clip(data_url(content), FrameSampling(), policy=POLICY, pixels=ANY)


async def test_a_gif_is_a_picture_and_a_video(reader: MediaReader, corpus: Corpus) -> None:
    source = UploadedFile(corpus["gif"].path)
    picture = await reader.read_image(source, pixels=ANY)
    either = await reader.read_image_or_clip(source, policy=POLICY, pixels=ANY)
    clip = await read(reader, corpus["gif"].path)
    assert (picture.format, picture.width, picture.height) == ("gif", 320, 180)
    assert isinstance(either, Picture)
    assert len(clip.frames) == 16


async def test_what_an_image_url_holds_is_read_as_what_it_is(
    reader: MediaReader, corpus: Corpus
) -> None:
    video = await reader.read_image_or_clip(
        data_url(corpus["hevc"].path.read_bytes()), policy=POLICY, pixels=ANY
    )
    picture = await reader.read_image_or_clip(data_url(png()), policy=POLICY, pixels=ANY)
    assert isinstance(video, Clip)
    assert isinstance(picture, Picture)
    assert (video.sampled_by, picture.format) == ("default", "png")


def frame_list(count: int) -> tuple[str, ...]:
    return tuple(base64.b64encode(png(grey=5 * i)).decode() for i in range(count))


def greys(clip: Clip) -> list[int]:
    return [int(frame.rgb[0, 0, 0]) // 5 for frame in clip.frames]


async def test_a_list_of_frames_is_a_clip(reader: MediaReader) -> None:
    source = FrameList(frame_list(5), fps=2.0)
    clip = await reader.read_clip(source, FrameSampling(), policy=POLICY, pixels=ANY)
    assert greys(clip) == [0, 1, 2, 3, 4]
    assert clip.frame_times_s == (0.0, 0.5, 1.0, 1.5, 2.0)
    assert (clip.sampled_by, clip.duration_s, clip.source_fps) == ("all", 2.5, 2.0)


async def test_a_list_of_frames_in_a_url_is_a_clip(reader: MediaReader) -> None:
    source = MediaUrl("data:video/jpeg;base64," + ",".join(frame_list(9)))
    sampling = FrameSampling(fps=3.0, num_frames=3)  # here fps is the rate they were taken at
    clip = await reader.read_clip(source, sampling, policy=POLICY, pixels=ANY)
    assert greys(clip) == [0, 4, 8]
    assert clip.frame_times_s == pytest.approx((0.0, 4 / 3, 8 / 3))
    either = await reader.read_image_or_clip(source, policy=POLICY, pixels=ANY)
    assert isinstance(either, Clip)
    assert len(either.frames) == 9


async def test_frames_of_other_sizes_take_the_first_ones(reader: MediaReader) -> None:
    urls = tuple(base64.b64encode(png(size)).decode() for size in ((32, 16), (20, 20)))
    clip = await reader.read_clip(FrameList(urls), FrameSampling(), policy=POLICY, pixels=ANY)
    assert [frame.rgb.shape for frame in clip.frames] == [(16, 32, 3), (16, 32, 3)]


async def test_a_range_does_not_go_with_a_list_of_frames(reader: MediaReader) -> None:
    source = FrameList(frame_list(2))
    with pytest.raises(UnsupportedParameter):
        await reader.read_clip(source, FrameSampling(start_s=1), policy=POLICY, pixels=ANY)
    with pytest.raises(MissingMedia):
        await reader.read_clip(FrameList(()), FrameSampling(), policy=POLICY, pixels=ANY)
    with pytest.raises(UnsupportedMediaType):
        await reader.read_image(source, pixels=ANY)


async def test_media_come_from_hosts_too(reader: MediaReader, corpus: Corpus) -> None:
    routes = {
        "/v.txt": respond(corpus["hevc"].path.read_bytes(), Content_Type="text/plain"),
        "/i.mp4": respond(png(), Content_Type="video/mp4"),
    }
    with serving(routes) as host:
        clip = await reader.read_clip(
            MediaUrl(host.url("/v.txt")), FrameSampling(), policy=POLICY, pixels=ANY
        )
        picture = await reader.read_image(MediaUrl(host.url("/i.mp4")), pixels=ANY)
        either = await reader.read_image_or_clip(
            MediaUrl(host.url("/v.txt")), policy=POLICY, pixels=ANY
        )
    assert len(clip.frames) == 16
    assert clip.fetch_s > 0
    assert (picture.width, picture.format) == (32, "png")
    assert isinstance(either, Clip)


async def test_bytes_are_capped_by_kind(reader: MediaReader, tmp_path: Path) -> None:
    image, video = tmp_path / "image", tmp_path / "video"
    image.write_bytes(png() + bytes(1 * MEGABYTE))
    video.write_bytes(b"\x1aE\xdf\xa3" + bytes(2 * MEGABYTE))
    with pytest.raises(FileTooLarge) as caught:
        await reader.read_image(UploadedFile(image), pixels=ANY)
    assert (caught.value.status, caught.value.code) == (413, "image_file_too_large")
    with pytest.raises(FileTooLarge) as caught:
        await read(reader, video)
    assert caught.value.code == "video_file_too_large"
    with pytest.raises(FileTooLarge):
        await reader.read_image_or_clip(data_url(image.read_bytes()), policy=POLICY, pixels=ANY)
    with pytest.raises(FileTooLarge):
        await reader.read_image_or_clip(UploadedFile(video), policy=POLICY, pixels=ANY)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("", MissingMedia),
        ("data:image/png;base64,", EmptyFile),
        ("rtsp://camera/1", UrlNotAllowed),
        ("http://10.0.0.1/x.png", UrlNotAllowed),
    ],
)
async def test_bad_urls(reader: MediaReader, url: str, error: type[ServiceError]) -> None:
    with pytest.raises(error):
        await reader.read_image(MediaUrl(url), pixels=ANY)


async def test_pixels_of_a_picture_are_capped_and_scaled(corpus: Corpus) -> None:
    limits = replace(MediaLimits.of(SETTINGS), max_image_pixels=1000, max_frame_pixels=1000)
    reader = IsolatedMediaReader(limits)
    with pytest.raises(PictureTooLarge) as caught:
        await reader.read_image(data_url(png((40, 40))), pixels=ANY)
    assert caught.value.code == "image_too_large"
    with pytest.raises(PictureTooLarge) as caught:
        await read(reader, corpus["hevc"].path)
    assert caught.value.code == "video_too_large"
    picture = await reader.read_image(data_url(png((40, 20))), pixels=PixelRange(max_pixels=200))
    assert picture.rgb.shape == (10, 20, 3)
    await reader.close()


async def test_decord_can_be_chosen(corpus: Corpus) -> None:
    reader = IsolatedMediaReader(SETTINGS.model_copy(update={"decoder": "decord"}))
    made = corpus["h264_720p_10s_gop250"]
    clip = await read(reader, made.path)
    assert made.numbers([f.rgb for f in clip.frames]) == [
        made.number_at(t) for t in clip.frame_times_s
    ]
    with pytest.raises(UnsupportedMediaType):
        await read(reader, corpus["hls_sibling"].path)
    await reader.close()


async def test_a_closed_reader_leaves_nothing_behind(corpus: Corpus) -> None:
    descriptors, children = open_descriptors(), children_of(os.getpid())
    reader = IsolatedMediaReader(SETTINGS)
    clip = await read(reader, corpus["hevc"].path)
    mean = np.mean([frame.rgb.mean() for frame in clip.frames])
    with pytest.raises(ParseError):
        await read(reader, corpus["audio_only"].path)
    with serving({"/": respond(png())}) as host:
        await reader.read_image(MediaUrl(host.url("/")), pixels=ANY)
    await reader.close()
    assert 0 < mean < 255
    del clip  # its pixels lie in a memory file that is mapped as long as they are used
    assert open_descriptors() <= descriptors
    assert children_of(os.getpid()) == children


async def test_limits_come_from_the_settings() -> None:
    limits = MediaLimits.of(Settings(max_video_mb=7, video_fetch_timeout_s=8, decode_timeout_s=9))
    assert limits.fetch("video") == FetchLimits(7 * MEGABYTE, 8)
    assert limits.decode_s == 9


async def test_files_are_read_where_a_directory_was_named(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "grey.png").write_bytes(png(grey=7))
    (tmp_path / "grey.png").write_bytes(png(grey=9))
    reader = IsolatedMediaReader(SETTINGS, media_dir=inside)
    picture = await reader.read_image(MediaUrl("file:grey.png"), pixels=ANY)
    assert picture.rgb[0, 0].tolist() == [7, 7, 7]
    frames = FrameList(("file:grey.png", f"file://{inside}/grey.png"))
    clip = await reader.read_clip(frames, FrameSampling(), policy=POLICY, pixels=ANY)
    assert len(clip.frames) == 2
    with pytest.raises(UrlNotAllowed, match="media directory"):
        await reader.read_image(MediaUrl("file:../grey.png"), pixels=ANY)
    await reader.close()


async def test_without_one_no_file_is(reader: MediaReader, tmp_path: Path) -> None:
    (tmp_path / "grey.png").write_bytes(png())
    with pytest.raises(UrlNotAllowed, match="http"):
        await reader.read_image(MediaUrl(f"file://{tmp_path}/grey.png"), pixels=ANY)
