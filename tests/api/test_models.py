"""The list of models."""

import pytest

from api.reply_schemas import ModelList, ModelReply
from tests.api.fakes import saying, serve


@pytest.mark.parametrize("path", ["/v1/models", "/api/v1/models"])
def test_the_model_is_listed_under_two_names(path: str) -> None:
    reply = serve(model="org/Some-Model", model_name="").get(path)
    got = reply.json()
    ModelList.model_validate(got)
    assert [one["id"] for one in got["data"]] == ["Some-Model", "Some-Model-vision"]
    assert got["data"][0] == got["data"][0] | {
        "object": "model",
        "owned_by": "lookout",
        "max_model_len": 4096,
        "root": "scripted",
        "parent": None,
    }


def test_until_it_is_loaded_its_length_is_not_known() -> None:
    (one, _) = serve(saying("a", card=None)).get("/v1/models").json()["data"]
    assert one["max_model_len"] is None
    assert one["root"] == "m"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("org/m", "org/m"),
        ("org/m-vision", "org/m-vision"),
        ("org%2Fm", "org/m"),
        ("default", "org/m"),
        ("llava-hf/llava-1.5-7b-hf", "org/m"),
    ],
)
def test_one_model_is_described_also_with_a_slash(name: str, told: str) -> None:
    got = serve(model_name="org/m").get(f"/v1/models/{name}").json()
    ModelReply.model_validate(got)
    assert got["id"] == told


@pytest.mark.parametrize("name", ["other", "org/other", ""])
def test_another_model_is_404(name: str) -> None:
    reply = serve().get(f"/v1/models/{name}")
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "model_not_found"
