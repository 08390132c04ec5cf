"""Reading a conversation's media."""

import pytest

from api.drafts import ClipCount, DraftMessage, check_counts, media_parts, read_draft
from api.media_parts import WantedClip, WantedPicture
from contracts.chat import ImagePart, TextPart, VideoPart
from contracts.errors import EmptyFile, TooManyMedia
from contracts.media import UNCOUNTED, FramePolicy, FrameSampling, MediaUrl, PixelRange
from contracts.settings import Settings
from tests.api.fakes import PICTURE, FakeMedia, Read, deps_of
from tests.api.fakes import clip as made_clip

POLICY = FramePolicy(3)
SETTINGS = Settings(max_videos=2)


def picture(url: str, *, may_be_clip: bool = True) -> WantedPicture:
    return WantedPicture(url, MediaUrl(url), PixelRange(1, 2), "low", may_be_clip=may_be_clip)


def clip(url: str) -> WantedClip:
    return WantedClip(url, MediaUrl(url), FrameSampling(num_frames=2), PixelRange(3, 4))


async def test_each_medium_comes_back_in_its_place() -> None:
    media = FakeMedia()
    first = DraftMessage("user", (picture("a"), TextPart("x"), clip("b")))
    second = DraftMessage("user", (picture("c", may_be_clip=False),))
    messages = await read_draft(
        (first, second), deps_of(media=media, max_videos=2), POLICY, UNCOUNTED
    )
    kinds = [[type(part) for part in message.parts] for message in messages]
    assert kinds == [[ImagePart, TextPart, VideoPart], [ImagePart]]
    assert media.reads == [
        Read("a", None, PixelRange(1, 2)),
        Read("b", FrameSampling(num_frames=2), PixelRange(3, 4)),
        Read("c", None, PixelRange(1, 2)),
    ]
    assert [part.detail for part in media_parts(messages) if isinstance(part, ImagePart)] == [
        "low",
        "low",
    ]


async def test_media_that_were_read_before_stay_as_they_are() -> None:
    media = FakeMedia()
    seen, filmed = ImagePart(PICTURE), VideoPart(made_clip(2))
    draft = (DraftMessage("user", (seen, picture("a"), TextPart("x"), filmed)),)
    (message,) = await read_draft(draft, deps_of(media=media, max_videos=2), POLICY, UNCOUNTED)
    assert message.parts[0] is seen
    assert message.parts[3] is filmed
    assert [read.name for read in media.reads] == ["a"]


def test_they_count_like_the_others() -> None:
    parts = (VideoPart(made_clip(1)), clip("a"), VideoPart(made_clip(1)))
    with pytest.raises(TooManyMedia, match="2 videos"):
        check_counts((DraftMessage("user", parts),), SETTINGS)


async def test_a_video_among_pictures_is_a_clip() -> None:
    draft = (DraftMessage("user", (picture("a-video"),)),)
    (message,) = await read_draft(draft, deps_of(max_videos=2), POLICY, UNCOUNTED)
    (part,) = message.parts
    assert isinstance(part, VideoPart)
    assert len(part.clip.frames) == 3


async def test_such_videos_are_counted_too() -> None:
    draft = (DraftMessage("user", tuple(picture("a-video") for _ in range(3))),)
    with pytest.raises(TooManyMedia, match="2 videos"):
        await read_draft(draft, deps_of(max_videos=2), POLICY, UNCOUNTED)


async def test_one_video_too_many_ends_the_others_before_they_are_read() -> None:
    media = FakeMedia()
    parts = (clip("hang"), picture("a-video-hang"), picture("b-video"))
    with pytest.raises(TooManyMedia) as caught:
        await read_draft(
            (DraftMessage("user", parts),), deps_of(media=media, max_videos=2), POLICY, UNCOUNTED
        )
    assert caught.value.param == "b-video"
    assert media.num_cancelled == 2
    assert [read.name for read in media.reads] == ["hang", "a-video-hang"]


def test_a_clip_that_is_told_twice_is_one() -> None:
    clips = ClipCount(1)
    clips.note(3)
    clips.note(3)
    with pytest.raises(TooManyMedia):
        clips.note(2)


async def test_the_first_that_fails_ends_the_others() -> None:
    media = FakeMedia({"b": EmptyFile("zero bytes", kind="image")})
    draft = (DraftMessage("user", (picture("hang"), picture("b"), picture("hang"))),)
    with pytest.raises(EmptyFile) as caught:
        await read_draft(draft, deps_of(media=media, max_videos=2), POLICY, UNCOUNTED)
    assert caught.value.param == "b"
    assert media.num_cancelled == 2


async def test_a_path_that_the_reader_knows_better_is_kept() -> None:
    media = FakeMedia({"b": EmptyFile("zero bytes", kind="image", param="b.url[3]")})
    with pytest.raises(EmptyFile) as caught:
        await read_draft(
            (DraftMessage("user", (picture("b"),)),), deps_of(media=media), POLICY, UNCOUNTED
        )
    assert caught.value.param == "b.url[3]"
