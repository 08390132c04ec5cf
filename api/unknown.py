"""The route of all paths that no other route has."""

from typing import NoReturn

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send


class UnknownPath(BaseRoute):
    """The last route of an app: answers 404 where the app is mounted beside other routes.

    It matches only partially, so that any other match wins: a path with a wrong method stays 405,
    and a server in front keeps its own routes. Without it, such a server answers unknown paths
    itself, in a form that clients of the API do not read.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match every HTTP path, partially."""
        return (Match.PARTIAL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> NoReturn:
        """Refuse."""
        raise HTTPException(404)

    def url_path_for(self, name: str, /, **path_params: object) -> NoReturn:
        """Refuse: no path has this route as its own."""
        raise NoMatchFound(name, path_params)
