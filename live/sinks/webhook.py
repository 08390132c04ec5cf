"""Messages to a URL, signed so that the libraries of Standard Webhooks verify them.

Source: the Standard Webhooks specification (github.com/standard-webhooks/standard-webhooks), and
API.md 6.5.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from contracts.errors import DeliveryError
from contracts.event_json import message_json
from contracts.events import Delivery
from contracts.notify import WebhookSink
from contracts.posting import CheckedPoster

TIMEOUT_S = 10.0
GONE = 410
SECRET_PREFIX = "whsec_"
BODY_VERSION = 1


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """Posts messages.

    Attributes:
        public_url: Begins links in messages.
        version: Of this program.
        clock: The moment, aware UTC.
    """

    poster: CheckedPoster
    public_url: str
    version: str
    clock: Callable[[], datetime]

    async def send(self, delivery: Delivery, sink: WebhookSink) -> None:
        """Post a message once.

        Raises:
            DeliveryError: It was not taken; finally so with status 410.
        """
        body = self.body(delivery)
        headers = self._headers(delivery, sink.secret, body)
        status = await self.poster.post(sink.url, body, headers, timeout_s=TIMEOUT_S)
        if not 200 <= status < 300:
            message = f"expected a status of 200 to 299, the host answered {status}"
            raise DeliveryError(message, is_final=status == GONE)

    def body(self, delivery: Delivery) -> bytes:
        """The message as it is posted, the same on every attempt."""
        told = message_json(delivery.message, self.public_url, kind=delivery.kind)
        return json.dumps({"version": BODY_VERSION, **told}, separators=(",", ":")).encode()

    def _headers(self, delivery: Delivery, secret: str | None, body: bytes) -> dict[str, str]:
        timestamp = str(int(self.clock().timestamp()))
        headers = {
            "content-type": "application/json",
            "user-agent": f"Lookout/{self.version}",
            "webhook-id": delivery.id,
            "webhook-timestamp": timestamp,
            "x-lookout-event": delivery.kind,
            "x-lookout-attempt": str(delivery.num_attempts + 1),
        }
        if secret is not None:
            headers["webhook-signature"] = sign(secret, delivery.id, timestamp, body)
        return headers


def sign(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """The signature of a body, version 1."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    """The bytes behind ``whsec_``, or those of any other string."""
    encoded = secret.removeprefix(SECRET_PREFIX)
    if encoded == secret:
        return secret.encode()
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        return secret.encode()
