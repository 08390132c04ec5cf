"""Takes a delivery to its sink, whatever kind that is, and says which sinks may be used at all."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from contracts.errors import DeliveryError, SinkNotAllowed
from contracts.events import Delivery
from contracts.notify import AppriseSink, NamedSink, NotifyTarget, Sink, SinkKind, WebhookSink
from contracts.posting import CheckedPoster
from live.sinks import apprise
from live.sinks.apprise import AppriseSender
from live.sinks.book import SinkBook
from live.sinks.webhook import WebhookSender

MAX_THREADS = 1024  # as many as there may be sinks; each waits for its own only


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="apprise")


@dataclass(frozen=True, slots=True)
class Courier:
    """Sends; one attempt each."""

    book: SinkBook
    webhook: WebhookSender
    apprise: AppriseSender
    _apprise_threads: ThreadPoolExecutor = field(default_factory=_threads)

    def kind_of(self, sink: Sink) -> SinkKind:
        """What a sink is; a name that there is no more counts as a webhook."""
        try:
            resolved = self.book.resolve(sink)
        except DeliveryError:
            return "webhook"
        return "apprise" if isinstance(resolved, AppriseSink) else "webhook"

    async def send(self, delivery: Delivery) -> None:
        """Make one attempt.

        Raises:
            DeliveryError: It was not taken.
        """
        sink = self.book.resolve(delivery.sink)
        if isinstance(sink, WebhookSink):
            await self.webhook.send(delivery, sink)
            return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._apprise_threads, self.apprise.send, delivery, sink)

    def close(self) -> None:
        """Begin nothing more; what Apprise is sending goes on to its end."""
        self._apprise_threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class SinkChecker:
    """Decides which sinks a rule may name.

    Attributes:
        allows_apprise: Whether callers may write Apprise URLs: only when they have keys.
    """

    book: SinkBook
    poster: CheckedPoster
    allows_apprise: bool

    async def check(self, targets: Sequence[NotifyTarget]) -> None:
        """Refuse targets that are unknown or not permitted.

        Raises:
            SinkNotAllowed: ``param`` is the place of the first.
        """
        for index, target in enumerate(targets):
            try:
                await self._check(target.sink)
            except (SinkNotAllowed, DeliveryError) as exc:
                param = f"notify[{index}]"
                raise SinkNotAllowed(f"{param}: {exc.message}", param=param) from None

    async def _check(self, sink: Sink) -> None:
        match sink:
            case NamedSink(name):
                self.book.check_name(name)
            case WebhookSink(url):
                await self.poster.check(url)
            case AppriseSink() if self.allows_apprise:
                await asyncio.to_thread(apprise.check, sink)
            case AppriseSink():
                message = "an Apprise URL needs VLM_API_KEYS: expected a name in VLM_SINKS"
                raise SinkNotAllowed(message)
