"""``/v1/status``: how the service is, for people and tools."""

from collections import Counter
from datetime import UTC, datetime

from fastapi import APIRouter, Request

from api.deps import GetAlerts, GetDeps, ServiceDeps
from api.openapi import operation
from api.replies import Json
from api.served_model import served_model
from api.status_replies import StatusReply
from contracts.alert_stats import AlertStats
from contracts.engine_stats import EngineStats
from contracts.errors import RequestError
from contracts.work_class import WORK_CLASSES

STATUS_PATH = "/v1/status"


def status_routes(deps: GetDeps, alerts: GetAlerts | None) -> APIRouter:
    """The route; without ``alerts``, there is nothing of theirs."""
    router = APIRouter(tags=["health"])

    @router.get(STATUS_PATH, **operation(STATUS_PATH, "How it stands", StatusReply, 400, 401))
    async def tell_status(request: Request) -> Json:
        if request.query_params:
            raise RequestError("query: expected no parameters")
        stats = None if alerts is None else await alerts().stats()
        return status_json(deps(), stats)

    return router


def status_json(deps: ServiceDeps, alerts: AlertStats | None) -> Json:
    """How the service is."""
    return {
        "version": deps.version,
        "uptime_s": round((datetime.now(UTC) - deps.started_at).total_seconds(), 3),
        "model": _model_json(deps),
        "engine": _engine_json(deps.runner.stats()),
        "streams": Counter(status.state for status in deps.streams.statuses()),
        "rules": _rules_json(alerts),
        "outbox": _outbox_json(alerts),
    }


def _model_json(deps: ServiceDeps) -> Json:
    served = served_model(deps)
    card = deps.runner.card
    return {
        "name": served.name,
        "runner": served.runner,
        "quantization": served.quantization,
        "device": served.device,
        "max_model_len": card.context_length if card else None,
        "state": deps.runner.state,
        "progress": round(deps.runner.progress, 3),
    }


def _engine_json(stats: EngineStats) -> Json:
    classes = {name: stats.of(name) for name in WORK_CLASSES}
    return {
        "queue": {name: one.num_waiting for name, one in classes.items()},
        "running": sum(one.num_running for one in classes.values()),
    }


def _rules_json(alerts: AlertStats | None) -> Json:
    states = Counter[str](one.status.state for one in alerts.rules) if alerts else {}
    return {"on": 0, **states}


def _outbox_json(alerts: AlertStats | None) -> Json:
    if alerts is None:
        return {"depth": 0, "oldest_s": None}
    oldest_s = None if alerts.oldest_s is None else round(alerts.oldest_s, 3)
    return {"depth": alerts.backlog and alerts.backlog.depth, "oldest_s": oldest_s}
