"""``/analyze_*``: both kinds of body, every option, every refusal."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from api.analyze_request import read_json_fields
from api.app import build_app
from api.reply_schemas import AnalyzeImageReply, AnalyzeVideoReply
from contracts.errors import EmptyFile, RequestError, ServiceError
from contracts.media import FrameSampling, PixelRange
from contracts.settings import Settings
from tests.api.asgi import RawClient
from tests.api.fakes import DeltaRunner, FakeMedia, Read, deps_of, saying, serve

VIDEO = "/analyze_video"
IMAGE = "/analyze_image"
URL = "https://a.example/v.mp4"


FORM_HEAD = b'--b\r\nContent-Disposition: form-data; name="video"; filename="v"\r\n\r\n'
FORM_END = b"\r\n--b--\r\n"


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def sizes_in(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.rglob("*") if path.is_file()]


def prompt_of(path: str, **request: Any) -> str:  # noqa: ANN401 - whatever httpx takes
    runner = saying("a")
    reply = serve(runner).post(path, **request)
    assert reply.status_code == 200, reply.text
    (asked,) = runner.requests
    (message,) = asked.messages
    assert message.role == "user"
    assert [type(part).__name__ for part in message.parts][1] == "TextPart"
    return message.text


def refused(path: str, status: int, code: str, **request: Any) -> str:  # noqa: ANN401
    media = FakeMedia()
    reply = serve(media=media).post(path, **request)
    assert (reply.status_code, reply.headers.get("x-error-code")) == (status, code), reply.text
    told = reply.json()
    assert list(told) == ["response", "status", "error", "code"]
    assert (told["response"], told["status"], told["code"]) == ("", "failed", code)
    assert media.reads == []
    return str(told["error"])


def test_a_video_by_url_is_answered() -> None:
    reply = serve(saying("A red", " ball.")).post(VIDEO, json={"video_url": URL, "num_frames": 2})
    assert reply.status_code == 200
    got = reply.json()
    AnalyzeVideoReply.model_validate(got)
    assert list(got)[:4] == ["response", "video_info", "status", "error"]
    assert got["response"] == "A red ball."
    assert got["status"] == "success"
    assert got["error"] is None
    assert got["id"].startswith("anl-")
    assert got["model"] == "m"
    assert got["finish_reason"] == "stop"
    assert got["video_info"]["frame_count"] == 2
    assert got["video_info"]["frame_times"] == [0.0, 0.5]
    assert got["usage"]["prompt_tokens_details"]["video_tokens"] == 2
    assert got["timings"]["fetch_ms"] == 10
    assert got["timings"]["total_ms"] >= 0


def test_an_image_by_upload_is_answered() -> None:
    media = FakeMedia()
    runner = saying("A hat.")
    files = {"image": ("evil/../name.exe", b"the picture", "text/plain")}
    reply = serve(runner, media).post(IMAGE, files=files, data={"prompt": "What?"})
    got = reply.json()
    AnalyzeImageReply.model_validate(got)
    assert got["response"] == "A hat."
    assert got["image_info"] == {"width": 6, "height": 4, "format": "png"}
    assert media.reads == [Read("the picture", None, PixelRange())]
    assert runner.requests[0].work_class == "upload"
    assert "x-ignored-parameters" not in reply.headers


@pytest.mark.parametrize(
    "request_",
    [
        {"json": {"video_url": URL, "metadata": {"prompt": "Why?"}}},
        {"json": {"video_url": URL, "metadata": '{"prompt": "Why?"}'}},
        {"json": {"video_url": URL, "prompt": "Why?"}},
        {"json": {"video_url": URL, "prompt": "Why?", "metadata": {"prompt": "Why?"}}},
        {"json": {"video_url": URL, "prompt": " ", "metadata": {"prompt": "Why?"}}},
        {"files": {"video": b"v", "metadata": (None, '{"prompt": "Why?"}', "application/json")}},
        {"files": {"video": b"v"}, "data": {"metadata": '{"prompt": "Why?"}'}},
        {"files": {"video": b"v", "metadata": ("m.json", b'{"prompt": "Why?"}')}},
        {"files": {"video": b"v"}, "data": {"prompt": "Why?"}},
        {"files": {"video": (None, b"v")}, "data": {"prompt": "Why?", "metadata": ""}},
        {"files": {"video_url": (None, URL), "prompt": (None, "Why?")}},
    ],
    ids=lambda request: json.dumps(request, default=repr)[:60],
)
def test_the_prompt_may_come_in_many_ways(request_: dict[str, object]) -> None:
    assert prompt_of(VIDEO, **request_) == "Why?"


@pytest.mark.parametrize("options", [{}, {"prompt": ""}, {"prompt": " \n"}, {"prompt": None}])
@pytest.mark.parametrize("kind", ["video", "image"])
def test_without_a_prompt_there_is_a_default(kind: str, options: dict[str, object]) -> None:
    body = {f"{kind}_url": URL, "metadata": options, **options}
    expected = {
        "video": "Describe what happens in this video.",
        "image": "Describe this image.",
    }
    assert prompt_of(f"/analyze_{kind}", json=body) == expected[kind]


def test_every_option_reaches_its_place() -> None:
    options = {
        "num_frames": "4", "max_frames": "8", "start_s": "1", "end_s": "2.5",
        "max_tokens": "7", "temperature": "0.5", "top_p": "0.9", "seed": "-3",
    }  # fmt: skip
    media, runner = FakeMedia(), saying("a")
    reply = serve(runner, media).post(VIDEO, files={"video": b"v"}, data=options)
    assert reply.status_code == 200, reply.text
    assert media.reads == [Read("v", FrameSampling(None, 4, 8, 1, 2.5), PixelRange())]
    sampling = runner.requests[0].sampling
    assert (sampling.max_tokens, sampling.temperature) == (7, 0.5)
    assert (sampling.top_p, sampling.seed) == (0.9, -3)


def test_options_may_stand_in_metadata_and_beside_it() -> None:
    media = FakeMedia()
    body = {"video_url": URL, "fps": 2, "metadata": {"fps": 2.0, "end_s": 3, "start_s": None}}
    assert serve(media=media).post(VIDEO, json=body).status_code == 200
    assert media.reads[0].sampling == FrameSampling(fps=2, end_s=3)


def test_the_defaults_are_greedy_and_1024_tokens() -> None:
    runner = saying("a")
    serve(runner, max_new_tokens=4096).post(VIDEO, json={"video_url": URL})
    sampling = runner.requests[0].sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p) == (1024, 0, 1)
    runner = saying("a")
    serve(runner, max_new_tokens=100).post(VIDEO, json={"video_url": URL})
    assert runner.requests[0].sampling.max_tokens == 100


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_media"),
        ({"video_url": None}, "missing_media"),
        ({"video_url": ""}, "missing_media"),
        ({"video": "x"}, "missing_media"),
        ({"video_url": 5}, "invalid_request"),
        ({"video_url": ["a"]}, "invalid_request"),
        ({"video_url": "not a url"}, "invalid_video_url"),
        ({"video_url": "AAAA" * 99}, "invalid_video_url"),
        ({"video_url": URL, "metadata": "{"}, "invalid_json"),
        ({"video_url": URL, "metadata": "[1]"}, "invalid_request"),
        ({"video_url": URL, "metadata": 5}, "invalid_request"),
        ({"video_url": URL, "metadata": " " * 65_537}, "invalid_request"),
        ({"video_url": URL, "prompt": 5}, "invalid_request"),
        ({"video_url": URL, "prompt": "x" * 20_001}, "invalid_request"),
        ({"video_url": URL, "fps": 0}, "invalid_request"),
        ({"video_url": URL, "fps": "2"}, "invalid_request"),
        ({"video_url": URL, "num_frames": 65}, "too_many_frames"),
        ({"video_url": URL, "max_frames": 65}, "too_many_frames"),
        ({"video_url": URL, "num_frames": 0}, "invalid_request"),
        ({"video_url": URL, "num_frames": 9, "max_frames": 8}, "conflicting_parameters"),
        ({"video_url": URL, "num_frames": 9, "metadata": {"fps": 1}}, "conflicting_parameters"),
        ({"video_url": URL, "start_s": 2, "end_s": 2}, "conflicting_parameters"),
        ({"video_url": URL, "fps": 1, "metadata": {"fps": 2}}, "conflicting_parameters"),
        ({"video_url": URL, "prompt": "a", "metadata": {"prompt": "b"}}, "conflicting_parameters"),
        ({"video_url": URL, "start_s": -1}, "invalid_request"),
        ({"video_url": URL, "max_tokens": 0}, "invalid_request"),
        ({"video_url": URL, "temperature": 3}, "invalid_request"),
        ({"video_url": URL, "top_p": 0}, "invalid_request"),
        ({"video_url": URL, "seed": 2**63}, "invalid_request"),
        ([], "invalid_request"),
        ("x", "invalid_request"),
    ],
    ids=str,
)
def test_a_wrong_json_body_is_refused(body: object, code: str) -> None:
    refused(VIDEO, 400, code, json=body)


def test_an_option_in_metadata_is_named_with_its_path() -> None:
    body = {"video_url": URL, "metadata": {"fps": 500}}
    assert refused(VIDEO, 400, "invalid_request", json=body) == (
        "metadata.fps: expected <= 120.0 (less_than_equal)"
    )


@pytest.mark.parametrize("path", [VIDEO, IMAGE])
def test_the_other_routes_field_is_shown_the_way(path: str) -> None:
    other = IMAGE if path == VIDEO else VIDEO
    kind = other.removeprefix("/analyze_")
    for request in ({"json": {f"{kind}_url": URL}}, {"files": {kind: b"x"}}):
        assert f"belongs to {other}" in refused(path, 400, "missing_media", **request)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"files": {"metadata": (None, "{}")}}, "missing_media"),
        ({"files": {"video": b"v"}, "data": {"video_url": URL}}, "conflicting_parameters"),
        ({"files": [("video", b"v"), ("video", b"w")]}, "too_many_media"),
        ({"files": {"video": b"v"}, "data": {"fps": ["1", "2"]}}, "conflicting_parameters"),
        ({"files": {"video": b"v"}, "data": {"fps": "fast"}}, "invalid_request"),
        ({"files": {"video": b"v"}, "data": {"fps": "nan"}}, "invalid_request"),
        ({"files": {"video": b"v"}, "data": {"fps": "0"}}, "invalid_request"),
        ({"files": {"video": b"v"}, "data": {"num_frames": "2.5"}}, "invalid_request"),
        ({"files": {"video": b"v"}, "data": {"metadata": "{prompt: x}"}}, "invalid_json"),
        ({"files": {"video": b"v"}, "data": {"metadata": "[]"}}, "invalid_request"),
        (
            {"files": {"video": b"v"}, "data": {"fps": "1", "metadata": '{"fps": 2}'}},
            "conflicting_parameters",
        ),
        ({"files": {"video": b"v", "prompt": (None, b"\xff")}}, "invalid_json"),
        ({"files": {f"p{i}": (None, "x") for i in range(65)}}, "invalid_request"),
        (
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
            "invalid_request",
        ),
        (
            {
                "content": b"no boundary in here",
                "headers": {"Content-Type": "multipart/form-data; boundary=b"},
            },
            "invalid_request",
        ),
        (
            {
                "content": b"",
                "headers": {"Content-Type": "multipart/form-data; boundary=" + "b" * 300},
            },
            "invalid_request",
        ),
        (
            {
                "content": b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
                "headers": {"Content-Type": "multipart/form-data; boundary=b"},
            },
            "invalid_request",
        ),
        (
            {
                "content": b'--b\r\nContent-Disposition: form-data; name="video"\r\n\r\ncut sho',
                "headers": {"Content-Type": "multipart/form-data; boundary=b"},
            },
            "invalid_request",
        ),
    ],
    ids=lambda request: json.dumps(request, default=repr)[:80],
)
def test_a_wrong_form_is_refused(request_: dict[str, object], code: str) -> None:
    refused(VIDEO, 400, code, **request_)


def test_the_same_option_may_come_twice_if_it_says_the_same() -> None:
    reply = serve().post(VIDEO, files={"video": b"v"}, data={"fps": ["1", "1"]})
    assert reply.status_code == 200


def test_what_only_fits_video_and_what_nobody_knows_is_named() -> None:
    options = {"fps": "fast", "foo": "1"}
    files: dict[str, Any] = {"image": b"i", "other": ("o", b"x"), "video": ("v", b"x")}
    reply = serve().post(IMAGE, files=files, data=options)
    assert reply.status_code == 200
    assert set(reply.headers["x-ignored-parameters"].split(", ")) == {
        "fps",
        "foo",
        "other",
        "video",
    }
    body = {"video_url": URL, "image_url": URL, "metadata": {"bar": 1}}
    reply = serve().post(VIDEO, json=body)
    assert set(reply.headers["x-ignored-parameters"].split(", ")) == {"image_url", "bar"}


@pytest.mark.parametrize("files", [{"image": b"bad"}, {"image_url": (None, "data:bad")}])
def test_what_the_reader_refuses_is_told(files: dict[str, Any]) -> None:
    error = EmptyFile("the file has zero bytes", kind="image")
    media = FakeMedia({"bad": error, "data:bad": error})
    reply = serve(media=media).post(IMAGE, files=files)
    assert reply.status_code == 400
    assert reply.json() == {
        "response": "",
        "status": "failed",
        "error": "the file has zero bytes",
        "code": "empty_image_file",
    }


def test_a_large_upload_goes_to_disk_once_and_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[list[int]] = []

    class Noting(FakeMedia):
        async def _open(self, *args: Any) -> str:  # noqa: ANN401
            seen.append(sizes_in(tmp_path))
            return ""

    reply = serve(media=Noting()).post(VIDEO, files={"video": b"x" * 3_000_000})
    assert reply.status_code == 200
    assert seen == [[3_000_000]]
    assert names_in(tmp_path) == []


async def test_a_client_that_leaves_ends_the_work_and_takes_its_file_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    media = FakeMedia()
    body = FORM_HEAD + b"hang" + FORM_END
    await _leaves(deps_of(media=media), [body], lambda: bool(media.reads))
    assert media.num_cancelled == 1
    assert names_in(tmp_path) == []


async def test_a_client_that_leaves_in_the_middle_of_its_file_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    client = _client(deps_of(), [FORM_HEAD, b"x" * 2_000_000])
    client.is_whole = False
    task = asyncio.create_task(client.run())
    await client.is_read.wait()
    assert len(names_in(tmp_path)) == 1
    client.leave()
    await asyncio.wait_for(task, 5)
    assert client.got_only_499
    assert names_in(tmp_path) == []


async def test_a_client_that_leaves_while_the_answer_grows_ends_it() -> None:
    runner = DeltaRunner(None)
    body = FORM_HEAD + b"v" + FORM_END
    await _leaves(deps_of(runner), [body], lambda: bool(runner.requests))
    assert runner.is_closed


def _client(deps: Any, chunks: list[bytes]) -> RawClient:  # noqa: ANN401
    headers = {"content-type": "multipart/form-data; boundary=b"}
    return RawClient(build_app(lambda: deps), VIDEO, chunks, headers)


async def _leaves(deps: Any, chunks: list[bytes], has_begun: Any) -> None:  # noqa: ANN401
    client = _client(deps, chunks)
    task = asyncio.create_task(client.run())
    await client.is_read.wait()
    while not has_begun():  # noqa: ASYNC110 - the work says nothing when it begins
        await asyncio.sleep(0)
    client.leave()
    await asyncio.wait_for(task, 5)
    assert client.got_only_499


@pytest.mark.parametrize("error", [ServiceError("secret"), ValueError("secret")])
def test_a_fault_of_ours_has_the_dialect_too(error: Exception) -> None:
    reply = serve(DeltaRunner(error)).post(VIDEO, json={"video_url": URL})
    assert reply.status_code == 500
    assert reply.json()["status"] == "failed"
    assert reply.json()["code"] == "server_error"
    assert "secret" not in reply.text


@pytest.mark.parametrize(
    ("url", "options", "param"),
    [
        ("data:video/jpeg;base64,a,,b", {}, "video_url"),
        ("data:video/jpeg;base64,a", {"start_s": 1}, "start_s"),
    ],
)
def test_errors_of_a_frame_list_name_the_fields_of_the_route(
    url: str, options: dict[str, object], param: str
) -> None:
    with pytest.raises(RequestError) as caught:
        read_json_fields({"video_url": url, **options}, "video", Settings())
    assert caught.value.param == param
    assert caught.value.message.startswith(f"{param}: ")


def test_the_limit_of_metadata_holds_for_an_object_too() -> None:
    fits = {"x": "ä" * 32_000}
    assert read_json_fields({"image_url": URL, "metadata": fits}, "image", Settings())
    for metadata in ({"x": ["ä" * 33_000]}, json.dumps({"x": "y" * 65_536})):
        with pytest.raises(RequestError, match="at most 65536 bytes") as caught:
            read_json_fields({"image_url": URL, "metadata": metadata}, "image", Settings())
        assert caught.value.param == "metadata"
