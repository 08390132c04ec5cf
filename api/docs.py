"""``/docs``: the OpenAPI document as a page, with all that it loads from here.

The files are those of the package ``fastapi-swagger``; the page is FastAPI's. Its addresses have no
host, so that it works behind a proxy that speaks TLS, and on a machine without a network.
"""

from importlib import resources
from pathlib import Path

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

DOCS_PATH = "/docs"
OPENAPI_PATH = "/openapi.json"
ASSETS = {
    f"/swagger/{name}": name
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
}
SCRIPT, STYLE, ICON = ASSETS


def docs_routes() -> list[Route]:
    """The page and its files."""
    page = Route(DOCS_PATH, _page, include_in_schema=False)
    return [page, *(Route(path, _asset, include_in_schema=False) for path in ASSETS)]


async def _page(request: Request) -> HTMLResponse:
    root = request.scope.get("root_path", "").rstrip("/")
    return get_swagger_ui_html(
        openapi_url=root + OPENAPI_PATH,
        title="Lookout",
        swagger_js_url=root + SCRIPT,
        swagger_css_url=root + STYLE,
        swagger_favicon_url=root + ICON,
        swagger_ui_parameters={"validatorUrl": None},  # else it shows the document to a stranger
    )


async def _asset(request: Request) -> Response:
    folder = Path(str(resources.files("fastapi_swagger"))) / "resources"
    return FileResponse(folder / request.scope["path"].rpartition("/")[2])
