"""The page of the documentation, on a machine without a network."""

import re

import pytest
from starlette.testclient import TestClient

from api.app import build_app
from api.docs import ASSETS
from tests.api.fakes import deps_of, serve


def test_the_page_loads_nothing_from_other_hosts() -> None:
    page = serve(api_keys="k").get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "//" not in re.sub(r"<!--.*?-->", "", page.text)
    assert '"validatorUrl": null' in page.text
    loaded = re.findall(r"""(?:src|href|url)[=:] ?["']([^"']+)["']""", page.text)
    assert set(loaded) == {*ASSETS, "/openapi.json"}
    assert all(serve(api_keys="k").get(path).status_code == 200 for path in loaded)


@pytest.mark.parametrize(
    ("path", "kind"),
    list(zip(ASSETS, ["text/javascript", "text/css", "image/png"], strict=True)),
)
def test_each_file_has_its_type(path: str, kind: str) -> None:
    reply = serve().get(path)
    assert reply.headers["content-type"].split(";")[0] == kind
    assert len(reply.content) > 500
    assert serve().head(path).status_code == 200
    assert serve().post(path).status_code == 405


def test_what_is_beside_the_files_is_an_unknown_path() -> None:
    reply = serve().get("/swagger/__init__.py")
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "not_found"


def test_the_page_knows_where_it_is_mounted() -> None:
    deps = deps_of()
    client = TestClient(build_app(lambda: deps), root_path="/lookout")
    assert 'src="/lookout/swagger/swagger-ui-bundle.js"' in client.get("/lookout/docs").text
