"""What a request's media are and cost, without asking."""

import pytest

from api.reply_schemas import MediaProbe
from contracts.errors import EmptyFile
from tests.api.fakes import FakeMedia, image, saying, serve, text, user, video, with_context

PROBE = "/v1/media/probe"


def test_a_chat_body_is_read_and_counted() -> None:
    runner = saying(card=with_context(20))
    body = user(video(num_frames=4), image(), text("What is it?"), foo=1)
    reply = serve(runner).post(PROBE, json=body)
    assert reply.status_code == 200, reply.text
    got = reply.json()
    MediaProbe.model_validate(got)
    assert [one["type"] for one in got.pop("media_info")] == ["video", "image"]
    assert got == {
        "object": "media.probe",
        "prompt_tokens": 8,
        "prompt_tokens_details": {
            "cached_tokens": 0,
            "text_tokens": 3,
            "image_tokens": 1,
            "video_tokens": 4,
        },
        "context_length": 20,
        "fits": True,
        "estimated": False,
        "max_frames_that_fit": 15,
    }
    assert reply.headers["x-ignored-parameters"] == "foo"
    assert runner.requests == []


@pytest.mark.parametrize(("length", "fits"), [(8, False), (9, True), (3, False)])
def test_one_token_must_be_left_for_the_answer(length: int, fits: bool) -> None:
    body = user(video(num_frames=4), image(), text("What is it?"))
    got = serve(saying(card=with_context(length))).post(PROBE, json=body).json()
    assert got["fits"] is fits
    assert got["max_frames_that_fit"] == max(length - 1 - 4, 0)


def test_where_the_context_is_not_known_nothing_is_claimed() -> None:
    got = serve(saying(card=with_context(None))).post(PROBE, json=user(video())).json()
    MediaProbe.model_validate(got)
    assert (got["context_length"], got["fits"], got["max_frames_that_fit"]) == (None, None, None)


def test_without_a_video_no_frames_are_counted() -> None:
    assert serve().post(PROBE, json=user("hi")).json()["max_frames_that_fit"] is None


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"video": b"v"}, "video"),
        ({"image": b"i"}, "image"),
        ({"image_url": (None, "http://a/i")}, "image"),
        ({"video_url": (None, "http://a/v")}, "video"),
    ],
)
def test_a_form_is_read_too(files: dict[str, object], kind: str) -> None:
    reply = serve().post(PROBE, files=files)  # type: ignore[arg-type]
    assert reply.json()["media_info"][0]["type"] == kind


def test_a_file_of_the_other_kind_is_named() -> None:
    reply = serve().post(PROBE, files={"video": b"v", "image": b"i"})
    assert [one["type"] for one in reply.json()["media_info"]] == ["image"]
    assert reply.headers["x-ignored-parameters"] == "video"


def test_the_errors_are_those_of_the_request() -> None:
    media = FakeMedia({"bad": EmptyFile("zero bytes", kind="image")})
    reply = serve(media=media).post(PROBE, json=user(image("bad")))
    assert reply.json()["error"]["code"] == "empty_image_file"
    assert serve().post(PROBE, json=user("hi", n=99)).status_code == 400
    assert serve().post(PROBE, json=user("hi", model="x")).status_code == 404
    assert serve().post(PROBE, files={"x": (None, "y")}).status_code == 400
    assert serve(saying(card=None)).post(PROBE, json=user("hi")).status_code == 503
