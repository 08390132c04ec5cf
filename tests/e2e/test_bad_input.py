"""What must not work: each gets its code, and the service answers after all of it."""

import base64
import json
import socket
import struct
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.e2e.conftest import curl

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("still_answers")]


def upload(url: str, kind: str, payload: bytes, **fields: str) -> requests.Response:
    files = {kind: ("file.bin", payload)}
    return requests.post(f"{url}/analyze_{kind}", files=files, data=fields, timeout=90)


def by_url(url: str, kind: str, target: str) -> requests.Response:
    return requests.post(f"{url}/analyze_{kind}", json={f"{kind}_url": target}, timeout=90)


def refused(reply: requests.Response, status: int, code: str) -> None:
    assert (reply.status_code, reply.headers["x-error-code"]) == (status, code), reply.text
    body = reply.json()
    assert body["status"] == "failed"
    assert body["response"] == ""
    assert body["code"] == code
    assert len(body["error"]) > 20


def test_every_kind_of_broken_video_has_its_answer(url: str, broken_files: Path) -> None:
    manifest = json.loads((broken_files / "manifest.json").read_text())
    allowed = {
        "empty_video_file", "unsupported_video_media_type", "video_parse_error",
        "video_too_large", "decode_limit_exceeded", "video_file_too_large",
    }  # fmt: skip
    outcomes = {}
    for clip in manifest:
        payload = (broken_files / clip["file"]).read_bytes()
        reply = upload(url, "video", payload, max_tokens="4", num_frames="1")
        outcomes[clip["name"]] = reply.headers.get("x-error-code", "ok")
        if clip["expect"] == "reject":
            assert reply.status_code in (400, 413), clip["name"]
            assert outcomes[clip["name"]] in allowed
        else:
            assert reply.status_code in (200, 413), (clip["name"], reply.text)
    assert len(outcomes) > 25


@pytest.mark.parametrize(
    ("payload", "kind", "code"),
    [
        (b"", "video", "empty_video_file"),
        (b"", "image", "empty_image_file"),
        (b"just some words\n" * 9, "video", "unsupported_video_media_type"),
        (b"%PDF-1.7\n%binary", "image", "unsupported_image_media_type"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "image", "image_parse_error"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "video", "unsupported_video_media_type"),
    ],
)
def test_what_is_no_medium_is_refused(url: str, payload: bytes, kind: str, code: str) -> None:
    refused(upload(url, kind, payload), 400, code)


def test_an_image_of_300_megapixels_is_refused_by_its_header(url: str) -> None:
    header = struct.pack(">IIBBBBB", 20_000, 15_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + b"\0\0\0\0"
    refused(upload(url, "image", b"\x89PNG\r\n\x1a\n" + chunk), 400, "image_too_large")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/to-loopback", 400, "url_not_allowed"),
        ("/nothing-here.mp4", 400, "invalid_video_url"),
        ("/broken", 400, "failed_to_download_video"),
        ("/endless", 413, "video_file_too_large"),
        ("/person.png", 400, "unsupported_video_media_type"),
    ],
)
def test_a_bad_url_has_its_code(url: str, hosts: str, path: str, status: int, code: str) -> None:
    refused(by_url(url, "video", hosts + path), status, code)


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "http://127.0.0.1:1/x.mp4",
        "http://localhost/x.mp4",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/x.mp4",
        "http://10.0.0.1/x.mp4",
        "rtsp://127.0.0.1/x",
    ],
)
def test_an_address_that_is_not_public_is_refused(url: str, target: str) -> None:
    reply = by_url(url, "video", target)
    refused(reply, 400, "url_not_allowed")
    assert "root:" not in reply.text


def test_the_wrong_content_type_is_415(url: str) -> None:
    reply = requests.post(f"{url}/analyze_video", data=b"x", headers={"Content-Type": "text/plain"})
    refused(reply, 415, "unsupported_content_type")
    reply = requests.post(f"{url}/v1/chat/completions", data="a=b", timeout=5)
    assert reply.status_code == 415


def test_metadata_that_is_no_json_is_refused(url: str, files: Path) -> None:
    clip = f"video=@{files / 'person.mp4'}"
    reply = curl("-F", clip, "-F", "metadata={prompt: x}", f"{url}/analyze_video")
    assert reply.status == 400
    assert reply.json["code"] == "invalid_json"


def test_contradicting_options_are_refused_with_both(url: str, files: Path) -> None:
    payload = (files / "person.mp4").read_bytes()
    refused(upload(url, "video", payload, fps="2", num_frames="4"), 400, "conflicting_parameters")


def test_a_body_over_the_limit_is_413_declared_or_not(url: str) -> None:
    body = b'{"messages": "' + b"x" * (9 << 20) + b'"}'
    headers = {"Content-Type": "application/json"}

    def chunked() -> object:
        for start in range(0, len(body), 1 << 16):
            yield body[start : start + (1 << 16)]

    chat = f"{url}/v1/chat/completions"
    declared = requests.post(chat, data=body, headers=headers, timeout=30)
    assert (declared.status_code, declared.headers["x-error-code"]) == (413, "request_too_large")
    counted = requests.post(chat, data=chunked(), headers=headers, timeout=30)  # type: ignore[arg-type]
    assert (counted.status_code, counted.headers["x-error-code"]) == (413, "request_too_large")


def test_a_file_over_the_limit_is_413(url: str) -> None:
    refused(upload(url, "video", b"\0" * (5 << 20)), 413, "video_file_too_large")


def test_nothing_to_look_at_is_missing_media(url: str) -> None:
    reply = requests.post(f"{url}/analyze_video", json={"metadata": {"prompt": "?"}}, timeout=5)
    refused(reply, 400, "missing_media")


def test_base64_that_does_not_decode_is_refused(url: str) -> None:
    refused(by_url(url, "image", "data:image/png;base64,%%%"), 400, "invalid_base64_image")


def test_a_client_that_leaves_in_the_middle_harms_nobody(url: str, files: Path) -> None:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    clip = base64.b64encode((files / "left.mp4").read_bytes()).decode()
    part = {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{clip}"}}
    body = {"messages": [{"role": "user", "content": [part]}], "stream": True, "min_tokens": 2000}
    payload = json.dumps(body | {"max_tokens": 2000}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(payload)}\r\n\r\n"
    ).encode()
    for sent, waits in ((head + payload[:1000], False), (head + payload, True)):
        with socket.create_connection((host, port), timeout=30) as connection:
            connection.sendall(sent)
            if waits:
                assert b"200 OK" in connection.recv(4096)
