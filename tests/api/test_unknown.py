"""Unknown paths where the app is mounted beside the routes of a server."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Match, Mount, NoMatchFound, Route
from starlette.testclient import TestClient
from starlette.types import Scope

from api.app import build_app
from api.unknown import UnknownPath
from tests.api.fakes import deps_of


class RoutesOnly(Mount):
    """A mount that matches only what the routes of its app match, as BentoML's does."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        assert isinstance(self.app, Starlette)
        found = [route.matches({**scope, **child})[0] for route in self.app.routes]
        return max(found, key=lambda one: one.value, default=match), child


@pytest.fixture
def server() -> TestClient:
    async def index(request: Request) -> PlainTextResponse:
        return PlainTextResponse("theirs")

    deps = deps_of()
    app = build_app(lambda: deps)
    return TestClient(Starlette(routes=[RoutesOnly("/", app), Route("/theirs", index)]))


@pytest.mark.parametrize("path", ["/nothing", "/v1/chat/completions/", "/theirs/"])
def test_an_unknown_path_is_refused_by_us_without_a_redirect(server: TestClient, path: str) -> None:
    reply = server.get(path, follow_redirects=False)
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "not_found"
    assert "x-request-id" in reply.headers


def test_a_wrong_method_stays_405_and_the_servers_routes_stay_its_own(server: TestClient) -> None:
    assert server.get("/v1/chat/completions").headers["allow"] == "POST"
    assert server.get("/v1/models").status_code == 200
    assert server.get("/theirs").text == "theirs"


def test_it_has_no_url() -> None:
    with pytest.raises(NoMatchFound):
        UnknownPath().url_path_for("anything")
