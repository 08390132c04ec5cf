"""The OpenAPI document says what is served."""

import json
import re
from typing import Any

import pytest

from tests.api.fakes import serve


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    reply = serve().get("/openapi.json")
    assert reply.status_code == 200
    told: dict[str, Any] = reply.json()
    return told


def test_the_document_is_made_once() -> None:
    client = serve()
    assert client.get("/openapi.json").content == client.get("/openapi.json").content


def test_every_route_is_there(document: dict[str, Any]) -> None:
    assert set(document["paths"]) == {
        "/analyze_video",
        "/analyze_image",
        "/v1/models",
        "/api/v1/models",
        "/v1/models/{model_id}",
        "/v1/chat/completions",
        "/api/v1/chat/completions",
        "/api/v1/chat/completion",
        "/v1/responses",
        "/v1/media/probe",
        "/v1/streams",
        "/v1/streams/{stream_id}",
        "/v1/streams/{stream_id}/snapshot.jpg",
        "/v1/streams/{stream_id}/preview.mjpeg",
        "/v1/streams/{stream_id}/clip.mp4",
        "/api/v1/live-stream",
        "/api/v1/live-stream/{stream_id}",
        "/api/v1/health/ready",
        "/v1/status",
        "/metrics",
    }
    assert document["info"]["version"] == "1.2.3"


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert names <= set(document["components"]["schemas"])
    assert "$defs" not in json.dumps(document)


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    operations = [one for path in document["paths"].values() for one in path.values()]
    ids = [one["operationId"] for one in operations]
    assert len(set(ids)) == len(ids)
    assert all(one["summary"] for one in operations)


@pytest.mark.parametrize("kind", ["video", "image"])
def test_both_kinds_of_body_are_there(document: dict[str, Any], kind: str) -> None:
    content = document["paths"][f"/analyze_{kind}"]["post"]["requestBody"]["content"]
    form = content["multipart/form-data"]["schema"]["properties"]
    text = content["application/json"]["schema"]["properties"]
    assert form[kind] == {"type": "string", "format": "binary"}
    assert kind not in text
    for properties in (form, text):
        assert {f"{kind}_url", "metadata", "prompt", "max_tokens", "seed"} <= set(properties)
        assert ("num_frames" in properties) == (kind == "video")


def test_parameters_have_their_ranges(document: dict[str, Any]) -> None:
    properties = document["components"]["schemas"]["ChatBody"]["properties"]
    temperature = properties["temperature"]["anyOf"][0]
    assert (temperature["minimum"], temperature["maximum"]) == (0, 2)
    top_p = properties["top_p"]["anyOf"][0]
    assert (top_p["exclusiveMinimum"], top_p["maximum"]) == (0, 1)
    assert properties["seed"]["anyOf"][0]["minimum"] == -(2**63)
    assert {one.get("type") for one in properties["stop"]["anyOf"]} >= {"string", "array"}


@pytest.mark.parametrize(
    ("path", "schema", "statuses"),
    [
        ("/v1/chat/completions", "OpenAIError", {"400", "401", "404", "413", "429", "503", "504"}),
        ("/api/v1/chat/completions", "JpsError", {"401", "404", "422", "429", "503"}),
        ("/analyze_video", "AnalyzeError", {"400", "401", "413", "415", "429", "500", "503"}),
    ],
)
def test_errors_are_there_in_their_dialect(
    document: dict[str, Any], path: str, schema: str, statuses: set[str]
) -> None:
    responses = document["paths"][path]["post"]["responses"]
    assert statuses <= set(responses)
    for status in statuses:
        told = responses[status]["content"]["application/json"]["schema"]["$ref"]
        assert told.endswith(f"/{schema}")


def test_the_page_of_the_document_is_served() -> None:
    reply = serve().get("/docs")
    assert reply.status_code == 200
    assert "/openapi.json" in reply.text
    assert serve().get("/redoc").status_code == 404


def test_every_answer_names_its_headers(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                headers = set(answer["headers"])
                assert "x-request-id" in headers, (path, status)
                assert ("retry-after" in headers) == (status in ("429", "503"))
                is_error = not status.startswith("2")
                assert ("x-error-code" in headers) == is_error
                has_body = "requestBody" in operation
                ignores = has_body and not is_error and not path.startswith("/v1/streams")
                assert ("x-ignored-parameters" in headers) == ignores
