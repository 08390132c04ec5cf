"""All routes of rules, events, feeds and deliveries."""

from fastapi import FastAPI

from api.body import Intake
from api.deliveries import delivery_routes
from api.deps import GetAlerts, GetDeps
from api.events import event_routes
from api.feed_events import feed_routes
from api.feed_sockets import feed_socket_routes
from api.jps_alerts import jps_alert_routes
from api.rules import rule_routes


def add_alert_routes(app: FastAPI, deps: GetDeps, alerts: GetAlerts, intake: Intake) -> None:
    """Add them to an app."""
    app.include_router(rule_routes(deps, alerts, intake))
    app.include_router(jps_alert_routes(deps, alerts, intake))
    app.include_router(feed_routes(deps, alerts))  # before the events, one of which is no "feed"
    app.include_router(feed_socket_routes(deps, alerts))
    app.include_router(event_routes(deps, alerts))
    app.include_router(delivery_routes(deps, alerts))
