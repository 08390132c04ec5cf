"""Streams, rules and standings come back as they were put."""

from dataclasses import replace
from datetime import time, timedelta

from sqlalchemy import Connection

from contracts.notify import AppriseSink, NamedSink, NotifyTarget, WebhookSink
from contracts.rules import Confirm, DailyWindow, Rule, Schedule, Window
from contracts.streams import StreamConfig
from live.alerting.evaluation import Evaluation
from live.alerting.rule_run import Standing
from live.store import configuration as stored
from live.store.database import Database
from tests.live.stage import NOON, PLAIN, Run

STREAM = StreamConfig(
    "door", "rtsp://admin:hunter2@10.0.0.7/h264?token=x", NOON, "Front door", password="hunter2"
)
FULL = Rule(
    id="r-full",
    prompt="Ist da ein Räuber?",
    name="🦊",
    created_at=NOON + timedelta(microseconds=1),
    updated_at=NOON,
    stream_id="door",
    window=Window(0, 1),
    interval_s=0.2,
    on_threshold=0.1 + 0.2,
    off_threshold=0.3,
    confirm=Confirm(1, 10),
    cooldown_s=0,
    severity="critical",
    enabled=False,
    schedule=Schedule("Europe/Berlin", (DailyWindow(("mon", "sun"), time(22), time(6, 30)),)),
    notify=(
        NotifyTarget(NamedSink("ops")),
        NotifyTarget(WebhookSink("https://a/", "whsec_eA=="), ("update",)),
        NotifyTarget(WebhookSink("https://b/")),
        NotifyTarget(AppriseSink("ntfy://a"), ("begin", "end")),
    ),
    source="jps",
    alert_number="r0",
)


async def put(database: Database, rule: Rule) -> None:
    await database.write(lambda c: stored.put_rule(c, rule))


async def test_rules_come_back_whole_and_in_their_order(database: Database) -> None:
    for rule in (FULL, PLAIN):
        await put(database, rule)
    assert await database.read(stored.all_rules) == [PLAIN, FULL]


async def test_a_changed_rule_replaces_the_old_and_a_deleted_one_is_gone(
    database: Database,
) -> None:
    changed = replace(PLAIN, prompt="Is there fire?", notify=())
    for rule in (PLAIN, changed, FULL):
        await put(database, rule)
    assert await database.read(stored.all_rules) == [changed, FULL]
    await database.write(lambda c: stored.delete_rule(c, FULL.id))
    assert await database.read(stored.all_rules) == [changed]


async def test_streams_come_back_with_what_opens_them(database: Database) -> None:
    second = replace(STREAM, id="yard", created_at=NOON - timedelta(days=1), loop=True)
    await database.write(lambda c: stored.put_stream(c, STREAM))
    await database.write(lambda c: stored.put_stream(c, second))
    assert await database.read(stored.all_streams) == [second, STREAM]
    renamed = replace(second, name="Yard")
    await database.write(lambda c: stored.put_stream(c, renamed))
    await database.write(lambda c: stored.delete_stream(c, "door"))
    assert await database.read(stored.all_streams) == [renamed]


async def test_standings_come_back_and_go_with_their_rule_or_stream(database: Database) -> None:
    run = Run(PLAIN).looks("YY?N")
    open_one = Standing(run.state, Evaluation(NOON, run.notices[0].event))
    keys = [("r-1", "door"), ("r-1", "yard"), ("r-2", "door"), ("r-2", "yard")]

    def put_all(connection: Connection) -> None:
        for rule_id, stream_id in keys * 2:
            stored.put_standing(connection, rule_id, stream_id, open_one)

    await database.write(put_all)
    assert await database.read(stored.all_standings) == dict.fromkeys(keys, open_one)
    await database.write(lambda c: stored.delete_rule(c, "r-1"))
    await database.write(lambda c: stored.delete_stream(c, "yard"))
    assert [*await database.read(stored.all_standings)] == [("r-2", "door")]
