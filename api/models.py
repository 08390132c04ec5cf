"""``/v1/models``: what is served, and under which names."""

from fastapi import APIRouter

from api.deps import Deps, GetDeps
from api.model_names import check_model, listed_names
from api.openapi import Operation, operation
from api.replies import Json
from api.reply_schemas import ModelList, ModelReply

ONE = "/v1/models/{model_id:path}"


def model_routes(deps: GetDeps) -> APIRouter:
    """The routes that list and describe the model."""
    router = APIRouter(tags=["models"])

    @router.get("/v1/models", **_listing("/v1/models"))
    @router.get("/api/v1/models", **_listing("/api/v1/models"))
    async def list_models() -> Json:
        now = deps()
        names = listed_names(now.settings)
        return {"object": "list", "data": [model_json(now, name) for name in names]}

    describing = operation(ONE, "Describe the model", ModelReply, 401, 404)

    @router.get(ONE, **describing)
    async def retrieve_model(model_id: str) -> Json:
        now = deps()
        check_model(model_id or "/", now.settings)
        names = listed_names(now.settings)
        return model_json(now, model_id if model_id in names else names[0])

    return router


def model_json(deps: Deps, name: str) -> Json:
    """The model under one of its names."""
    card = deps.runner.card
    return {
        "id": name,
        "object": "model",
        "created": int(deps.started_at.timestamp()),
        "owned_by": "lookout",
        "max_model_len": card.context_length if card else None,
        "root": card.root if card else deps.settings.served_name,
        "parent": None,
        "capabilities": {
            "vision": True,
            "video": card.knows_video if card else True,
            "streams": True,
            "batching": card.batches if card else True,
            "judging": card.judging if card else "likelihood",
        },
    }


def _listing(path: str) -> Operation:
    return operation(path, "List the model", ModelList, 401)
