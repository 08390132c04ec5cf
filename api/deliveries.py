"""``/v1/deliveries``: messages on their way to sinks, and those that were given up."""

from fastapi import APIRouter, Request

from api.deps import GetAlerts, GetDeps
from api.event_replies import DeliveryList, DeliveryReply
from api.event_schemas import DeliveriesQuery
from api.openapi import operation
from api.query import read_query
from api.replies import Json
from contracts.event_json import message_json
from contracts.events import Delivery
from contracts.moments import rfc3339
from contracts.notify import redacted

ALL = "/v1/deliveries"
RETRY = "/v1/deliveries/{delivery_id}/retry"


def delivery_routes(deps: GetDeps, alerts: GetAlerts) -> APIRouter:
    """The routes that list deliveries and send them again."""
    router = APIRouter(tags=["events"])

    def show(delivery: Delivery) -> Json:
        return delivery_json(delivery, deps().settings.public_url)

    listing = operation(ALL, "List deliveries", DeliveryList, 400, 401, 503, query=DeliveriesQuery)

    @router.get(ALL, **listing)
    async def list_deliveries(request: Request) -> Json:
        """Messages to webhooks and Apprise services: those that wait, are done or were given up."""
        query = read_query(request, DeliveriesQuery).query()
        found = await alerts().outbox.find(query)
        return {"object": "list", "data": [show(delivery) for delivery in found]}

    @router.post(RETRY, **operation(RETRY, "Send it again", DeliveryReply, 401, 404, 503))
    async def retry_delivery(delivery_id: str) -> Json:
        """Under the same id, by which receivers know what they had before."""
        return show(await alerts().outbox.retry(delivery_id))

    return router


def delivery_json(delivery: Delivery, public_url: str) -> Json:
    """A delivery; its sink is shown without what is secret of it."""
    is_pending = delivery.state == "pending"
    return {
        "id": delivery.id,
        "object": "delivery",
        "state": delivery.state,
        "kind": delivery.kind,
        "sink": redacted(delivery.sink),
        "attempts": delivery.num_attempts,
        "last_error": delivery.last_error,
        "created_at": rfc3339(delivery.created_at),
        "next_at": rfc3339(delivery.next_at) if is_pending else None,
        "give_up_at": rfc3339(delivery.give_up_at),
        "message": message_json(delivery.message, public_url),
    }
