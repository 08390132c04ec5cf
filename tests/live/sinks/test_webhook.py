"""Webhooks as a receiver sees them, with the signature that its library checks."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from contracts.errors import DeliveryError
from contracts.events import Delivery, EventMessage
from contracts.notify import WebhookSink
from live.sinks.webhook import WebhookSender, sign
from media.addresses import AddressRules
from media.posting import GuardedPoster
from tests.live.receiver import Receiver, receiving
from tests.live.stage import NOON, at
from tests.live.store.records import an_event

MESSAGE = EventMessage(7, "update", at(1), replace(an_event(0), cursor=7))
DELIVERY = Delivery(
    "evt_1-7-abc", MESSAGE, WebhookSink(""), "begin", "pending", 2, at(0), at(0), at(86400)
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest.fixture
async def sender() -> AsyncIterator[WebhookSender]:
    poster = GuardedPoster(AddressRules.parse(["127.0.0.1"]))
    yield WebhookSender(poster, "https://cams.example", "0.1.0", lambda: NOON)
    await poster.close()


async def test_a_message_is_posted_as_the_feed_has_it(
    sender: WebhookSender, receiver: Receiver
) -> None:
    await sender.send(DELIVERY, WebhookSink(receiver.url("/hook?token=x")))
    [received] = receiver.received
    posted = json.loads(received.body)
    assert list(posted) == ["version", "cursor", "kind", "at", "event"]
    assert (posted["version"], posted["cursor"], posted["kind"]) == (1, "7", "begin")
    assert posted["event"]["id"] == MESSAGE.event.id
    assert received.path == "/hook?token=x"
    headers = received.headers
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "Lookout/0.1.0"
    assert headers["webhook-id"] == "evt_1-7-abc"
    assert headers["webhook-timestamp"] == str(int(NOON.timestamp()))
    assert (headers["x-lookout-event"], headers["x-lookout-attempt"]) == ("begin", "3")
    assert "webhook-signature" not in headers


async def test_a_secret_signs_what_was_posted(sender: WebhookSender, receiver: Receiver) -> None:
    key = b"a key of thirty-two bytes, no less"
    secret = "whsec_" + base64.b64encode(key).decode()
    await sender.send(DELIVERY, WebhookSink(receiver.url("/hook"), secret))
    [received] = receiver.received
    headers = received.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + received.body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"


def test_the_signature_is_the_one_of_the_specification() -> None:
    """The example that the specification's own documents and libraries use."""
    signature = sign(
        "whsec_plJ3nmyCDGBKInavdOK15jsl",
        "msg_loFOjxBNrRLzqYUf",
        "1731705121",
        b'{"event_type":"ping","data":{"success":true}}',
    )
    assert signature == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


@pytest.mark.parametrize(
    "secret", ["plain words", "whsec_no base64!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
)
def test_any_other_secret_is_its_own_bytes(secret: str) -> None:
    digest = hmac.new(secret.encode(), b"id.1.body", hashlib.sha256).digest()
    assert sign(secret, "id", "1", b"body") == f"v1,{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("status", "taken", "is_final"),
    [
        (200, True, False),
        (204, True, False),
        (299, True, False),
        (302, False, False),
        (400, False, False),
        (404, False, False),
        (410, False, True),
        (500, False, False),
    ],
)
async def test_what_counts_as_taken(
    sender: WebhookSender, receiver: Receiver, status: int, taken: bool, is_final: bool
) -> None:
    receiver.refuse("/hook", status)
    sending = sender.send(DELIVERY, WebhookSink(receiver.url("/hook")))
    if taken:
        await sending
        return
    with pytest.raises(DeliveryError, match=str(status)) as caught:
        await sending
    assert caught.value.is_final == is_final
    assert receiver.at("/elsewhere") == []
