"""Messages and parts: what is accepted, and what is asked of the reader for it."""

import pytest

from api.chat_request import OPENAI_RULES, read_chat
from api.drafts import Draft, wanted_media
from api.media_parts import WantedClip, WantedPicture
from api.stream_parts import WantedStream
from contracts.chat import TextPart
from contracts.errors import RequestError, ServiceError
from contracts.media import FrameList, FrameSampling, MediaUrl, PixelRange
from contracts.settings import Settings
from tests.api.fakes import image, text, user, video

SETTINGS = Settings(max_frames=32, max_images=3, max_videos=2, max_image_pixels=1000)
PART = "messages[0].content[0]"


def draft(body: object) -> Draft:
    return read_chat(body, OPENAI_RULES, SETTINGS).draft


def refusal(body: object) -> ServiceError:
    with pytest.raises(RequestError) as caught:
        draft(body)
    return caught.value


def wanted(part: dict[str, object], **body: object) -> WantedPicture | WantedClip:
    (one,) = wanted_media(draft(user(part, **body)))
    assert not isinstance(one, WantedStream)
    return one


def sampling(part: dict[str, object], **body: object) -> FrameSampling:
    clip = wanted(part, **body)
    assert isinstance(clip, WantedClip)
    return clip.sampling


def said(*messages: dict[str, object]) -> list[tuple[str, list[str]]]:
    told = draft({"messages": list(messages)})
    return [(m.role, [p.text for p in m.parts if isinstance(p, TextPart)]) for m in told]


@pytest.mark.parametrize(
    ("role", "becomes"),
    [
        ("user", "user"),
        ("assistant", "assistant"),
        ("assistent", "assistant"),
        ("tool", "user"),
        ("function", "user"),
        ("system", "system"),
        ("developer", "system"),
    ],
)
def test_roles(role: str, becomes: str) -> None:
    assert said({"role": role, "content": "x"}) == [(becomes, ["x"])]


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ({"role": "boss", "content": "x"}, "invalid_request", "messages[0].role"),
        ({"content": "x"}, "invalid_request", "messages[0].role"),
        ({"role": "user"}, "invalid_request", "messages[0].content"),
        ({"role": "user", "content": None}, "invalid_request", "messages[0].content"),
        ({"role": "system", "content": None}, "invalid_request", "messages[0].content"),
        ({"role": "user", "content": []}, "invalid_request", "messages[0].content"),
        ({"role": "user", "content": 5}, "invalid_request", "messages[0].content"),
        ({"role": "user", "content": {}}, "invalid_request", "messages[0].content"),
        ({"role": "user", "content": ["x"]}, "unsupported_value", PART),
        ({"role": "user", "content": [{"type": "input_audio"}]}, "unsupported_value", PART),
        ({"role": "user", "content": [{}]}, "unsupported_value", PART),
        ({"role": "user", "content": [{"type": "text"}]}, "invalid_request", f"{PART}.text"),
        (
            {"role": "user", "content": [{"type": "refusal", "refusal": "x"}]},
            "unsupported_value",
            f"{PART}.type",
        ),
        ({"role": "assistant", "content": [image()]}, "invalid_request", f"{PART}.type"),
        ({"role": "system", "content": [video()]}, "invalid_request", f"{PART}.type"),
        ({"role": "tool", "content": [image()]}, "invalid_request", f"{PART}.type"),
    ],
    ids=str,
)
def test_a_wrong_message_is_refused(message: dict[str, object], code: str, param: str) -> None:
    error = refusal({"messages": [message]})
    assert (error.code, error.param) == (code, param)


@pytest.mark.parametrize(
    ("part", "code", "param"),
    [
        ({"type": "image_url", "image_url": "u"}, "invalid_request", "image_url"),
        ({"type": "video_url", "video_url": "u"}, "invalid_request", "video_url"),
        ({"type": "image_url"}, "missing_media", ""),
        ({"type": "image_url", "image_url": None, "uuid": "x"}, "missing_media", ""),
        (image(None), "missing_media", ""),
        (image(""), "missing_media", ""),
        (video([]), "missing_media", ""),
        (video([""]), "missing_media", "video_url.url"),
        (image(["u"]), "invalid_request", "image_url.url"),
        (video(5), "invalid_request", "video_url.url"),
        (video([5]), "invalid_request", "video_url.url[0]"),
        (image(detail="medium"), "invalid_request", "image_url.detail"),
        (image(min_pixel=0), "invalid_request", "image_url.min_pixel"),
        (image(min_pixel=1001), "invalid_request", "image_url.min_pixel"),
        (image(min_pixel=9, max_pixel=8), "conflicting_parameters", "image_url.min_pixel"),
        (image(min_pixel=9, min_pixels=8), "conflicting_parameters", "image_url.min_pixel"),
        (video(fps=0), "invalid_request", "video_url.fps"),
        (video(fps=121), "invalid_request", "video_url.fps"),
        (video(num_frames=0), "invalid_request", "video_url.num_frames"),
        (video(num_frames=-1), "invalid_request", "video_url.num_frames"),
        (video(num_frames=33), "too_many_frames", "video_url.num_frames"),
        (video(max_frames=33), "too_many_frames", "video_url.max_frames"),
        (video(num_frames=9, max_frames=8), "conflicting_parameters", "video_url.num_frames"),
        (video(fps=1, num_frames=8), "conflicting_parameters", "video_url.fps"),
        (video(start_s=-1), "invalid_request", "video_url.start_s"),
        (video(start_s=2, end_s=2), "conflicting_parameters", "video_url.start_s"),
        (video(start_s=3, end_s=2), "conflicting_parameters", "video_url.start_s"),
        (video(["a"], start_s=1), "unsupported_parameter", "video_url.start_s"),
        (video("data:video/jpeg;base64,a", end_s=1), "unsupported_parameter", "video_url.end_s"),
    ],
    ids=str,
)
def test_a_wrong_part_is_refused(part: dict[str, object], code: str, param: str) -> None:
    error = refusal(user(part))
    assert (error.code, error.param) == (code, f"{PART}.{param}".removesuffix("."))


@pytest.mark.parametrize("part", [image(min_pixel=5_308_417), video(min_pixels=5_308_417)])
def test_a_picture_is_scaled_up_to_the_largest_grid_of_tiles_at_most(
    part: dict[str, object],
) -> None:
    settings = Settings(model_name="m")
    with pytest.raises(RequestError, match=r"min_pixel: expected 1\.\.5308416"):
        read_chat(user(part), OPENAI_RULES, settings)
    assert read_chat(user(image(min_pixel=5_308_416)), OPENAI_RULES, settings)


def test_a_plain_string_is_told_to_be_an_object() -> None:
    error = refusal(user({"type": "image_url", "image_url": "http://user:pass@host/x"}))
    assert error.message == f"{PART}.image_url: expected an object (model_type)"


def test_a_picture_is_wanted_as_asked() -> None:
    assert wanted(image("u", detail="low", min_pixel=4, max_pixels=9)) == WantedPicture(
        f"{PART}.image_url", MediaUrl("u"), PixelRange(4, 9), "low", may_be_clip=True
    )
    plain = wanted(image("u", detail=None))
    assert isinstance(plain, WantedPicture)
    assert (plain.detail, plain.pixels) == ("auto", PixelRange())


def test_a_clip_is_wanted_as_asked() -> None:
    part = video("u", num_frames=4, max_frames=8, start_s=0, end_s=2.5, max_pixel=9)
    assert wanted(part) == WantedClip(
        f"{PART}.video_url",
        MediaUrl("u"),
        FrameSampling(None, 4, 8, 0, 2.5),
        PixelRange(None, 9),
    )


@pytest.mark.parametrize(
    ("part", "source", "num_frames"),
    [
        (video(["a", "b"]), FrameList(("a", "b"), 1.0), None),
        (video(["a", "b"], fps=2), FrameList(("a", "b"), 2.0), None),
        (video(["a", "b"], fps=2, num_frames=1), FrameList(("a", "b"), 2.0), 1),
        (video("data:video/jpeg;base64,a,b"), FrameList(("a", "b"), 1.0), None),
        (video("DATA:Video/JPEG;base64,a", fps=5), FrameList(("a",), 5.0), None),
    ],
)
def test_frames_may_come_one_by_one(
    part: dict[str, object], source: FrameList, num_frames: int | None
) -> None:
    clip = wanted(part)
    assert clip.source == source
    assert isinstance(clip, WantedClip)
    assert clip.sampling == FrameSampling(num_frames=num_frames)


@pytest.mark.parametrize(
    ("part", "body", "expected"),
    [
        (video(), {"media_io_kwargs": {"video": {"num_frames": 5}}}, FrameSampling(num_frames=5)),
        (video(), {"media_io_kwargs": {"video": {"num_frames": -1}}}, FrameSampling(num_frames=32)),
        (video(), {"mm_processor_kwargs": {"num_frames": -1}}, FrameSampling(num_frames=32)),
        (video(), {"mm_processor_kwargs": {"fps": 2}}, FrameSampling(fps=2)),
        (
            video(num_frames=3),
            {"media_io_kwargs": {"video": {"num_frames": 5, "max_frames": 6, "x": 1}}},
            FrameSampling(num_frames=3, max_frames=6),
        ),
        (
            video(),
            {"media_io_kwargs": {"video": {"fps": 2}}, "mm_processor_kwargs": {"fps": 2.0}},
            FrameSampling(fps=2),
        ),
        (video(), {"media_io_kwargs": {"video": None, "image": {}}}, FrameSampling()),
        (video(), {"media_io_kwargs": None, "mm_processor_kwargs": {}}, FrameSampling()),
    ],
)
def test_what_a_body_says_for_all_videos(
    part: dict[str, object], body: dict[str, object], expected: FrameSampling
) -> None:
    assert sampling(part, **body) == expected


def test_the_pixels_for_all_videos_are_not_for_pictures() -> None:
    kwargs = {"min_pixels": 4, "max_pixels": 9}
    assert wanted(video(), mm_processor_kwargs=kwargs).pixels == PixelRange(4, 9)
    assert wanted(video(max_pixel=5), mm_processor_kwargs=kwargs).pixels == PixelRange(4, 5)
    assert wanted(image(), mm_processor_kwargs=kwargs).pixels == PixelRange()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (
            {"media_io_kwargs": {"video": {"fps": 1}}, "mm_processor_kwargs": {"fps": 2}},
            "conflicting_parameters",
        ),
        ({"media_io_kwargs": {"video": {"fps": 1, "num_frames": 2}}}, "conflicting_parameters"),
        ({"media_io_kwargs": {"video": {"num_frames": 33}}}, "too_many_frames"),
    ],
)
def test_what_a_body_says_for_all_videos_must_agree(body: dict[str, object], code: str) -> None:
    assert refusal(user(video(), **body)).code == code


@pytest.mark.parametrize(
    ("parts", "limit"), [([image()] * 4, "3 pictures"), ([video()] * 3, "2 videos")]
)
def test_too_many_media_are_refused_with_the_limit(
    parts: list[dict[str, object]], limit: str
) -> None:
    error = refusal(user(*parts))
    assert error.code == "too_many_media"
    assert limit in error.message


def test_media_are_counted_over_all_messages() -> None:
    one = {"role": "user", "content": [image(), image()]}
    assert refusal({"messages": [one, one]}).code == "too_many_media"


def test_texts_and_media_keep_their_order() -> None:
    (message,) = draft(user(text("a"), image(), text("b"), video(), text("c")))
    kinds = [type(part).__name__ for part in message.parts]
    assert kinds == ["TextPart", "WantedPicture", "TextPart", "WantedClip", "TextPart"]
