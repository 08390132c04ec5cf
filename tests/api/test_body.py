"""Bodies: types, sizes declared and counted, and how many at a time."""

import asyncio
import json
import threading

import pytest

from api.app import build_app
from api.body import JsonBody
from tests.api.asgi import RawClient
from tests.api.fakes import deps_of, image, serve, user

CHAT = "/v1/chat/completions"
JSON = {"content-type": "application/json"}
BIG = b'"' + b"x" * (1 << 20)


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", [CHAT, "/analyze_video", "/v1/media/probe"])
def test_another_content_type_is_415_and_names_the_right_ones(path: str, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    reply = serve().post(path, content=b"{}", headers=headers)
    assert reply.status_code == 415
    assert reply.headers["x-error-code"] == "unsupported_content_type"
    assert "application/json" in reply.text
    assert ("multipart/form-data" in reply.text) == (path != CHAT)


def test_chat_takes_no_forms() -> None:
    reply = serve().post(CHAT, files={"image": b"x"})
    assert reply.status_code == 415


def test_a_charset_beside_the_type_is_fine() -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    reply = serve().post(CHAT, content=json.dumps(user("hi")), headers=headers)
    assert reply.status_code == 200


async def test_a_declared_size_above_the_limit_is_413_before_a_byte_is_read() -> None:
    deps = deps_of(max_json_mb=1)
    headers = JSON | {"content-length": str((1 << 20) + 1)}
    client = RawClient(build_app(lambda: deps), CHAT, [b"{"], headers, is_whole=False)
    await client.run()
    assert client.status == 413
    assert b"request_too_large" in client.body
    assert client.num_unread == 1


async def test_a_counted_size_above_the_limit_is_413() -> None:
    deps = deps_of(max_json_mb=1)
    client = RawClient(build_app(lambda: deps), CHAT, [BIG, b"{}"], JSON, is_whole=False)
    await client.run()
    assert client.status == 413
    assert b"request_too_large" in client.body


async def test_a_form_has_its_own_limit() -> None:
    deps = deps_of(max_json_mb=1, max_upload_mb=2)
    headers = {"content-type": "multipart/form-data; boundary=b"}
    part = b'--b\r\nContent-Disposition: form-data; name="video"; filename="v"\r\n\r\n'
    for chunks, status in (([part, BIG], 400), ([part, BIG, BIG], 413)):
        client = RawClient(build_app(lambda: deps), "/analyze_video", chunks, headers)
        await client.run()
        assert client.status == status


def test_one_uploaded_file_may_not_be_larger_than_its_kind() -> None:
    client = serve(max_image_mb=1)
    reply = client.post("/analyze_image", files={"image": b"x" * ((1 << 20) + 1)})
    assert reply.status_code == 413
    assert reply.json()["code"] == "image_file_too_large"


def test_all_texts_of_a_form_are_within_the_json_limit() -> None:
    texts = {f"t{i}": (None, b"x" * (1 << 19)) for i in range(3)}
    reply = serve(max_json_mb=1).post("/analyze_image", files=texts)
    assert reply.status_code == 413
    assert reply.json()["code"] == "request_too_large"


async def test_more_bodies_than_may_be_received_are_429() -> None:
    deps = deps_of(max_uploads=2)
    app = build_app(lambda: deps)
    slow = [RawClient(app, CHAT, [b"{"], JSON, is_whole=False) for _ in range(2)]
    tasks = [asyncio.create_task(client.run()) for client in slow]
    for client in slow:
        await client.is_read.wait()
    refused = RawClient(app, CHAT, [json.dumps(user("hi")).encode()], JSON)
    await refused.run()
    assert refused.status == 429
    headers = dict(refused.sent[0]["headers"])
    assert headers[b"x-error-code"] == b"queue_full"
    assert headers[b"x-should-retry"] == b"true"
    assert 1 <= int(headers[b"retry-after"]) <= 60
    small = RawClient(app, CHAT, [json.dumps(user("hi")).encode()], JSON | {"content-length": "80"})
    await small.run()
    assert small.status == 200
    for client in slow:
        client.leave()
    await asyncio.gather(*tasks)
    served = RawClient(app, CHAT, [b"{}"], JSON)
    await served.run()
    assert served.status == 400


@pytest.mark.parametrize("path", [CHAT, "/v1/media/probe", "/analyze_image"])
async def test_more_requests_than_may_wait_for_their_media_are_429(path: str) -> None:
    deps = deps_of(max_queue=1)
    app = build_app(lambda: deps)
    asked = {"image_url": "data:hang"} if path == "/analyze_image" else user(image("data:hang"))
    bodies = [json.dumps(asked).encode()]
    waiting = [RawClient(app, path, bodies, JSON) for _ in range(2)]
    tasks = [asyncio.create_task(one.run()) for one in waiting]
    for one in waiting:
        await one.is_read.wait()
    refused = RawClient(app, path, bodies, JSON)
    await refused.run()
    assert refused.status == 429
    assert b"queue_full" in refused.body
    for one in waiting:
        one.leave()
    await asyncio.gather(*tasks)
    served = RawClient(app, CHAT, [json.dumps(user("hi")).encode()], JSON)
    await served.run()
    assert served.status == 200


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
async def test_a_body_that_stops_coming_gives_up_its_place(kind: str) -> None:
    deps = deps_of()
    client = RawClient(
        build_app(lambda: deps, idle_s=0.01), "/analyze_video", [b"--b"], is_whole=False
    )
    client.headers["content-type"] = kind
    await asyncio.wait_for(client.run(), 5)
    assert client.status == 400
    assert b"the body stopped coming" in client.body
    headers = dict(client.sent[0]["headers"])
    assert headers[b"x-error-code"] == b"invalid_request"
    assert headers[b"connection"] == b"close"


async def test_a_client_that_leaves_while_it_sends_is_a_499() -> None:
    deps = deps_of()
    client = RawClient(build_app(lambda: deps), CHAT, [b"{"], JSON, is_whole=False)
    client.leave()
    await client.run()
    assert client.got_only_499


def test_large_json_is_parsed_too() -> None:
    said = "x" * (3 << 20)
    reply = serve().post(CHAT, json=user(said))
    assert reply.status_code == 400
    assert "characters" in reply.text
    reply = serve().post(CHAT, content=b"{" + b" " * (3 << 20), headers=JSON)
    assert reply.json()["error"]["code"] == "invalid_json"


@pytest.mark.parametrize("is_long", [True, False])
async def test_a_long_body_is_read_beside_the_event_loop(is_long: bool) -> None:
    body = JsonBody("said", 0.0, is_long=is_long)
    value, thread = await body.read(lambda value: (value, threading.current_thread()))
    assert value == "said"
    assert (thread is threading.current_thread()) != is_long
