"""Rules, events, feeds and deliveries as one thing that is opened, runs and is closed.

Wiring only. Belongs to one event loop.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contracts.alert_stats import AlertStats, Backlog, RuleStats
from contracts.errors import StorageUnavailable
from contracts.judging import Judge
from contracts.posting import CheckedPoster
from contracts.rule_checks import WindowLimits
from contracts.settings import Settings
from contracts.streams import LiveStreams, StreamConfig
from live.alerting.archive import EventArchive
from live.alerting.asking import Asker
from live.alerting.change_gate import ChangeGate
from live.alerting.decider import Decider, DeciderParts
from live.alerting.event_clips import EventClips
from live.alerting.event_ids import event_ids
from live.alerting.evidence import Budget, EvidenceStore
from live.alerting.feed import Feed
from live.alerting.journal import Journal
from live.alerting.looker import Looker
from live.alerting.main_loops import kept_running
from live.alerting.outbox import Outbox, OutboxParts
from live.alerting.rule_book import RuleBook, RuleLimits
from live.alerting.rule_desk import RuleDesk
from live.alerting.rule_lines import RuleLines
from live.alerting.rule_tester import RuleTester
from live.alerting.scene import Scene
from live.alerting.stream_news import StreamNews
from live.alerting.watch import Watch
from live.clock import SystemClock
from live.sinks.apprise import AppriseSender
from live.sinks.book import SinkBook
from live.sinks.courier import Courier, SinkChecker
from live.sinks.webhook import WebhookSender
from live.store import recovery
from live.store.database import Database, open_database
from live.store.events import bounds

TICK_S = 1.0
TIDY_S = 3600.0
BACKLOG_S = 2.0
MB = 1 << 20

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AlertParts:
    """What comes from outside.

    Attributes:
        version: Of this program.
        poster: Reaches webhooks.
        streams: What is looked at.
        judge: Answers what rules ask.
        clock: The moment, aware UTC.
        randomness: Of ids and of the jitter of retries.
    """

    version: str
    poster: CheckedPoster
    streams: LiveStreams
    judge: Judge
    clock: Callable[[], datetime] = SystemClock().utc
    randomness: random.Random = field(default_factory=random.SystemRandom)


@dataclass(frozen=True, slots=True)
class Alerts:
    """Everything between a live stream and the people who are told.

    Attributes:
        lines: What rules say of each stream.
        stored_streams: As they were configured before this start.
    """

    rules: RuleDesk
    tests: RuleTester
    lines: RuleLines
    watch: Watch
    scene: Scene
    events: EventArchive
    evidence: EvidenceStore
    feed: Feed
    outbox: Outbox
    stored_streams: tuple[StreamConfig, ...]
    _database: Database
    _decider: Decider
    _journal: Journal
    _courier: Courier
    _news: StreamNews
    _looker: Looker
    _clips: EventClips
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Begin to look, to send, and to let time have its effect."""
        loops = {
            "news of streams": self._news.run,
            "looks": self._looker.run,
            "the outbox": self.outbox.run,
            "the clock of rules": self._tick,
            "tidying": self._tidy,
        }
        self._tasks.extend(
            asyncio.create_task(kept_running(name, loop)) for name, loop in loops.items()
        )

    async def check(self) -> None:
        """Refuse when the store cannot be written.

        Raises:
            StorageUnavailable: It cannot.
        """
        await self._database.write(recovery.touch)

    async def stats(self) -> AlertStats:
        """What was done so far, and how it stands."""
        return AlertStats(
            at=self._decider.now(),
            rules=[
                RuleStats(rule, status, self.scene.tally((rule.id, status.stream_id)).verdicts)
                for rule in self.rules.all()
                for status in self.rules.statuses(rule)
            ],
            looks=self.watch.latencies.histogram,
            events=self._journal.told,
            attempts=self.outbox.attempts,
            backlog=await self._backlog(),
            readers=self.feed.num_readers,
        )

    async def close(self) -> None:
        """End looks and feeds, finish what is being decided, and let go of the store."""
        self._news.close()
        self.feed.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._clips.close()
        await self._decider.finish()
        await self.outbox.close()
        self._courier.close()
        await self._database.close()

    async def _backlog(self) -> Backlog | None:
        """How much waits; ``None`` where the store does not say it soon."""
        try:
            async with asyncio.timeout(BACKLOG_S):
                return await self.outbox.backlog()
        except (StorageUnavailable, TimeoutError):
            logger.warning("what waits to be delivered cannot be read")
            return None

    async def _tick(self) -> None:
        while True:
            try:
                await self.watch.tick()
            except StorageUnavailable:
                logger.exception("what time brings about cannot be stored")
            self.lines.refresh()
            await asyncio.sleep(TICK_S)

    async def _tidy(self) -> None:
        while True:
            try:
                await self.events.tidy(self._decider.now())
            except StorageUnavailable:
                logger.exception("old events cannot be removed")
            await asyncio.sleep(TIDY_S)


async def open_alerts(settings: Settings, parts: AlertParts) -> Alerts:
    """Open the store and go on where it was left; nothing is sent before ``start``.

    Raises:
        StorageUnavailable: The database or the data directory cannot be used.
    """
    database = await asyncio.to_thread(open_database, settings.database_url, settings.data_dir)
    try:
        return await _assemble(settings, parts, database)
    except BaseException:
        await database.close()
        raise


async def _assemble(settings: Settings, parts: AlertParts, database: Database) -> Alerts:
    retention = timedelta(days=settings.event_retention_days)
    budget = Budget(settings.evidence_max_mb * MB, retention.total_seconds())
    evidence = EvidenceStore(settings.data_dir / "evidence", budget)
    await asyncio.to_thread(evidence.open)
    before = await database.write(recovery.recover)
    feed = Feed(database, await database.read(bounds), settings.max_feeds)
    book = SinkBook(settings.sinks)
    courier = _courier(settings, parts, book, evidence)
    outbox = Outbox(OutboxParts(database, courier, parts.clock, parts.randomness))
    journal = Journal(database, book)
    journal.listen(feed.publish)
    journal.listen(lambda _: outbox.wake())
    scene = _scene(settings, parts, before)
    told = DeciderParts(journal, evidence, settings.default_notify, parts.clock)
    decider = Decider(scene, told)
    watch = Watch(decider, ChangeGate(settings.still_look_s))
    watch.resume(before.streams, before.lost)
    checker = SinkChecker(book, parts.poster, allows_apprise=bool(settings.api_keys))
    asker = Asker(parts.streams, parts.judge, settings.served_name, settings.request_timeout_s)
    clips = _clips(settings, parts, evidence, watch)
    return Alerts(
        rules=RuleDesk(decider, checker),
        tests=RuleTester(asker, scene),
        lines=RuleLines(scene, parts.clock),
        watch=watch,
        scene=scene,
        events=EventArchive(database, evidence, retention),
        evidence=evidence,
        feed=feed,
        outbox=outbox,
        stored_streams=tuple(before.streams),
        _database=database,
        _decider=decider,
        _journal=journal,
        _courier=courier,
        _news=StreamNews(parts.streams, watch),
        _looker=Looker(asker, watch, clips),
        _clips=clips,
    )


def _courier(
    settings: Settings, parts: AlertParts, book: SinkBook, evidence: EvidenceStore
) -> Courier:
    url = settings.public_url
    webhook = WebhookSender(parts.poster, url, parts.version, parts.clock)
    return Courier(book, webhook, AppriseSender(evidence, url))


def _clips(
    settings: Settings, parts: AlertParts, evidence: EvidenceStore, watch: Watch
) -> EventClips:
    return EventClips(
        parts.streams,
        evidence,
        watch,
        pre=timedelta(seconds=settings.clip_pre_s),
        post=timedelta(seconds=settings.clip_post_s),
        clock=parts.clock,
    )


def _scene(settings: Settings, parts: AlertParts, before: recovery.Before) -> Scene:
    window = WindowLimits(settings.ring_seconds, settings.max_frames)
    rules = RuleBook(RuleLimits(settings.max_rules, window, settings.jps_cooldown_s))
    rules.load(before.rules)
    return Scene(rules, event_ids(parts.randomness), standings=before.standings)
