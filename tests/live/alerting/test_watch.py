"""Looks and changes become events, and nothing becomes so that was not stored."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import (
    EventNotFound,
    EvidenceGone,
    RequestError,
    RuleLimitReached,
    RuleNotFound,
    SinkNotAllowed,
    StorageUnavailable,
    StreamNotFound,
)
from contracts.event_queries import EventQuery
from contracts.events import Event
from contracts.notify import AppriseSink, NamedSink, NotifyTarget, WebhookSink
from contracts.rules import Confirm, Rule, RuleStatus, Window
from live.alerting.change_gate import see as reduce_clip
from live.alerts import Alerts
from live.jpeg import to_jpeg
from tests.live.house import (
    QUICK,
    RGB,
    Clock,
    looks,
    opened,
    refuse_writing,
    running,
    see,
    stream_is,
    stream_of,
)
from tests.live.stage import PLAIN, at


async def events_of(alerts: Alerts, **fields: object) -> list[Event]:
    query = EventQuery(**fields)  # type: ignore[arg-type]
    found = (await alerts.events.page(query)).events
    return sorted(found, key=lambda event: (event.type, event.rule_id or "", event.stream_id))


async def told_by(alerts: Alerts, **fields: object) -> list[tuple[str, str, str | None]]:
    return [(e.type, e.state, e.end_reason) for e in await events_of(alerts, **fields)]


def status(alerts: Alerts, rule_id: str = PLAIN.id, stream_id: str = "door") -> RuleStatus:
    rule = alerts.rules.get(rule_id)
    [found] = [one for one in alerts.rules.statuses(rule) if one.stream_id == stream_id]
    return found


async def change(alerts: Alerts, **fields: object) -> Rule:
    return await alerts.rules.change(PLAIN.id, lambda rule: replace(rule, **fields))  # type: ignore[arg-type]


async def test_a_look_begins_an_event_that_is_stored_with_its_picture(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        [message] = await see(alerts, clock, "door", QUICK, "Y")
        stored = await alerts.events.get(message.event.id)
        assert stored == message.event
        assert (stored.stream_name, stored.model, stored.cursor) == ("The door", "model", 1)
        assert (await alerts.events.frame(stored.id, "begin")).read_bytes() == to_jpeg(RGB)
        assert status(alerts).event_id == stored.id


async def test_the_picture_of_a_higher_score_is_kept_as_the_peak(tmp_path: Path) -> None:
    clock = Clock()
    dark = np.zeros_like(RGB)
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        pairs = [(0.7, RGB), (0.8, dark), (0.75, RGB)]
        for second, (score, rgb) in enumerate(pairs, 1):
            clock.set(second)
            batch = looks("door", second, (QUICK, score), rgb=rgb)
            [message] = await alerts.watch.apply(batch, 0.0)
        assert (await alerts.events.frame(message.event.id, "begin")).read_bytes() == to_jpeg(RGB)
        assert (await alerts.events.frame(message.event.id, "peak")).read_bytes() == to_jpeg(dark)


async def test_two_rules_on_two_streams_have_separate_states(tmp_path: Path) -> None:
    clock, other = Clock(), replace(QUICK, id="r-other", prompt="Is it dark?")
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door", "yard")
        for rule in (QUICK, other):
            await alerts.rules.add(rule)
        await see(alerts, clock, "door", QUICK, "Y")
        await see(alerts, clock, "yard", QUICK, "N")
        await see(alerts, clock, "yard", other, "Y")
        await see(alerts, clock, "door", QUICK, "N", start_s=2)
        found = await events_of(alerts)
        assert [(e.rule_id, e.stream_id, e.state) for e in found] == [
            (QUICK.id, "door", "ended"),
            ("r-other", "yard", "open"),
        ]
        states = {
            (rule.id, one.stream_id): one.state
            for rule in alerts.rules.all()
            for one in alerts.rules.statuses(rule)
        }
        assert states == {
            (QUICK.id, "door"): "off",
            (QUICK.id, "yard"): "off",
            ("r-other", "door"): "unknown",
            ("r-other", "yard"): "on",
        }


async def test_a_rule_of_one_stream_is_not_put_to_another(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door", "yard")
        await alerts.rules.add(replace(QUICK, stream_id="yard"))
        plans = alerts.watch.plan(0.0, {"door": 1, "yard": 1})
        assert [plan.stream_id for plan in plans] == ["yard"]
        assert await see(alerts, clock, "door", QUICK, "Y") == []


async def test_an_open_event_goes_on_under_its_id_after_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(replace(QUICK, confirm=Confirm(2, 3), cooldown_s=1000))
        [begin] = await see(alerts, clock, "door", QUICK, "YYN")
        await stream_is(alerts, "door", "lost")
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        [rule] = alerts.rules.all()
        assert status(alerts).event_id == begin.event.id
        assert status(alerts).state == "on"
        # One more "no" is enough: the one from before the restart still counts.
        [end] = await see(alerts, clock, "door", rule, "N", start_s=10)
        assert (end.kind, end.event.id) == ("end", begin.event.id)
        assert await told_by(alerts) == [
            ("alert", "ended", "cleared"),
            ("stream_lost", "ended", "cleared"),
        ]


async def test_looks_before_a_restart_count_for_a_begin_after_it(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        rule = await alerts.rules.add(replace(QUICK, confirm=Confirm(2, 3)))
        assert await see(alerts, clock, "door", rule, "NNY") == []
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        [begin] = await see(alerts, clock, "door", rule, "Y", start_s=10)
        assert begin.kind == "begin"


async def test_a_minute_of_loss_is_counted_over_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        await see(alerts, clock, "door", QUICK, "Y")
        await stream_is(alerts, "door", "lost")
    clock.set(50)
    async with opened(tmp_path, clock) as alerts:
        await stream_is(alerts, "door", "connecting", None)
        assert await told_by(alerts, type="alert") == [("alert", "open", None)]
        clock.set(62)
        await alerts.watch.tick()
        assert await told_by(alerts, type="alert") == [("alert", "ended", "stream_lost")]
        assert await told_by(alerts, type="stream_lost") == [("stream_lost", "open", None)]


async def test_nothing_was_missed_while_nothing_ran(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        await see(alerts, clock, "door", QUICK, "YN")
    clock.set(5000)
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.watch.tick()
        assert await told_by(alerts, type="not_evaluated") == []
        clock.set(5061)
        await alerts.watch.tick()
        assert await told_by(alerts, type="not_evaluated") == [("not_evaluated", "open", None)]
        assert status(alerts).state == "not_evaluated"
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        assert len(await see(alerts, clock, "door", QUICK, "N", start_s=5061)) == 1
        assert await told_by(alerts, type="not_evaluated") == [
            ("not_evaluated", "ended", "cleared")
        ]


async def test_when_the_store_refuses_a_look_was_not_made(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        refuse_writing(alerts._database, True)
        with pytest.raises(StorageUnavailable):
            await see(alerts, clock, "door", QUICK, "Y")
        with pytest.raises(StorageUnavailable):
            await stream_is(alerts, "door", "lost")
        with pytest.raises(StorageUnavailable):
            await alerts.check()
        assert status(alerts).event_id is None
        refuse_writing(alerts._database, False)
        await alerts.check()
        await alerts.watch.tick()  # takes the change of the stream, which was not lost
        [begin] = await see(alerts, clock, "door", QUICK, "Y", start_s=2)
        assert begin.kind == "begin"
        assert [name for name, *_ in await told_by(alerts)] == ["alert", "stream_lost"]


async def test_a_caller_that_leaves_does_not_stop_what_it_began(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        applying = asyncio.create_task(alerts.watch.apply(looks("door", 2, (QUICK, "Y")), 0.0))
        await asyncio.sleep(0)
        applying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await applying
        await alerts.watch.tick()
        [event] = await events_of(alerts)
        assert status(alerts).event_id == event.id


async def test_an_alert_comes_without_its_picture_when_that_cannot_be_kept(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        folder = tmp_path / "evidence"
        folder.rmdir()
        folder.write_bytes(b"a file where the folder was")
        [begin] = await see(alerts, clock, "door", QUICK, "Y")
        assert begin.event.evidence is not None
        assert not begin.event.evidence.has_frame
        folder.unlink()


@pytest.mark.parametrize(
    ("fields", "ends"),
    [
        ({"prompt": "Is there fire?"}, True),
        ({"window": Window(0, 1)}, True),
        ({"stream_id": "door"}, True),
        ({"stream_id": "yard"}, True),
        ({"enabled": False}, True),
        ({"name": "Another name"}, False),
        ({"severity": "critical"}, False),
        ({"on_threshold": 0.7}, False),
        ({"cooldown_s": 10}, False),
    ],
)
async def test_a_change_ends_what_it_makes_senseless(
    tmp_path: Path, fields: dict[str, object], ends: bool
) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door", "yard")
        await alerts.rules.add(QUICK)
        await see(alerts, clock, "door", QUICK, "Y")
        clock.set(5)
        changed = await change(alerts, **fields)
        assert changed.updated_at == at(5)
        expected = ("alert", "ended", "rule_changed") if ends else ("alert", "open", None)
        assert await told_by(alerts) == [expected]
        # What was asked before the change counts only if it is what is asked now.
        await alerts.watch.apply(looks("door", 6, (QUICK, "Y")), 0.0)
        assert len(await events_of(alerts)) == 1
    async with opened(tmp_path, clock) as alerts:
        assert alerts.rules.all() == (changed,)


async def test_changes_of_one_rule_follow_each_other(tmp_path: Path) -> None:
    async with opened(tmp_path, Clock()) as alerts:
        await alerts.rules.add(PLAIN)
        await asyncio.gather(change(alerts, name="Door"), change(alerts, interval_s=7.0))
        rule = alerts.rules.get(PLAIN.id)
        assert (rule.name, rule.interval_s) == ("Door", 7.0)
        with pytest.raises(RuleNotFound):
            await alerts.rules.change("r-2", lambda rule: rule)


async def test_a_deleted_rule_ends_its_events_which_stay(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door", "yard")
        await alerts.rules.add(QUICK)
        for stream_id in ("door", "yard"):
            await see(alerts, clock, stream_id, QUICK, "Y")
        await alerts.rules.delete(QUICK.id)
        assert await told_by(alerts) == [("alert", "ended", "rule_deleted")] * 2
        assert alerts.rules.all() == ()
        with pytest.raises(RuleNotFound):
            await alerts.rules.delete(QUICK.id)
        assert await see(alerts, clock, "door", QUICK, "Y", start_s=10) == []
    async with opened(tmp_path, clock) as alerts:
        assert alerts.rules.all() == ()
        assert alerts.scene.standings == {}


async def test_with_a_stream_go_its_rules_and_its_events_end(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door", "yard")
        await alerts.rules.add(QUICK)
        await alerts.rules.add(replace(QUICK, id="r-door-only", stream_id="door"))
        await see(alerts, clock, "door", QUICK, "Y")
        await stream_is(alerts, "door", "lost")
        await alerts.watch.remove_stream("door")
        assert await told_by(alerts) == [
            ("alert", "ended", "stream_deleted"),
            ("stream_lost", "ended", "stream_deleted"),
        ]
        assert [rule.id for rule in alerts.rules.all()] == [QUICK.id]
        await stream_is(alerts, "door", "running", "lost")  # told late
        assert [one.stream_id for one in alerts.rules.statuses(QUICK)] == ["yard"]
        await alerts.watch.remove_stream("door")
    async with opened(tmp_path, clock) as alerts:
        assert alerts.stored_streams == (stream_of("yard"),)


async def test_streams_are_there_again_after_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    renamed = stream_of("door", "Back door")
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.watch.put_stream(renamed)
        assert alerts.scene.healths["door"].name == "Back door"
    async with opened(tmp_path, clock) as alerts:
        assert alerts.stored_streams == (renamed,)
        await alerts.rules.add(replace(PLAIN, stream_id="door"))  # before anything is told of it


async def test_rules_know_a_stream_as_soon_as_it_is_stored(tmp_path: Path) -> None:
    async with opened(tmp_path, Clock()) as alerts:
        await alerts.watch.put_stream(replace(stream_of("door"), enabled=False))
        rule = await alerts.rules.add(replace(PLAIN, stream_id="door"))
        await stream_is(alerts, "door", "ended", None)
        assert status(alerts, rule.id).state == "idle"


async def test_what_is_told_of_a_stream_counts_once_it_is_stored(tmp_path: Path) -> None:
    async with opened(tmp_path, Clock()) as alerts:
        for stream_id in ("door", "yard"):
            await stream_is(alerts, stream_id, "connecting", None)
            await stream_is(alerts, stream_id, "lost", "connecting")
        await alerts.watch.remove_stream("yard")  # refused, and never stored
        assert await told_by(alerts) == []
        await alerts.watch.put_stream(stream_of("door"))
        [event] = await events_of(alerts)
        assert (event.type, event.stream_id, event.stream_name) == (
            "stream_lost",
            "door",
            "The door",
        )
        await alerts.watch.put_stream(stream_of("yard"))
        await stream_is(alerts, "door", "running", "lost")
        await alerts.watch.put_stream(stream_of("door", "Front door"))
        assert await told_by(alerts) == [("stream_lost", "ended", "cleared")]
        assert alerts.scene.healths["yard"].state == "connecting"


async def test_changes_that_could_not_be_stored_have_their_effect_in_order(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await alerts.watch.put_stream(stream_of("door"))
        refuse_writing(alerts._database, True)
        await stream_is(alerts, "door", "connecting", None)  # nothing to store
        for before, state in (("connecting", "lost"), ("lost", "running")):
            with pytest.raises(StorageUnavailable):
                await stream_is(alerts, "door", state, before)
        refuse_writing(alerts._database, False)
        assert [message.kind for message in await alerts.watch.tick()] == ["begin", "end"]
        assert alerts.scene.healths["door"].state == "running"


async def test_rules_name_only_what_there_is(tmp_path: Path) -> None:
    async with opened(tmp_path, Clock(), max_rules=1) as alerts:
        await running(alerts, "door")
        with pytest.raises(StreamNotFound, match="expected one of door"):
            await alerts.rules.add(replace(PLAIN, stream_id="yard"))
        with pytest.raises(RequestError, match="prompt"):
            await alerts.rules.add(replace(PLAIN, prompt=" "))
        await alerts.rules.add(PLAIN)
        with pytest.raises(StreamNotFound):
            await change(alerts, stream_id="yard")
        with pytest.raises(RuleLimitReached):
            await alerts.rules.add(replace(PLAIN, id="r-2"))
        assert alerts.rules.all() == (PLAIN,)


@pytest.mark.parametrize(
    ("sink", "needle"),
    [
        (NamedSink("nobody"), "which has ops"),
        (AppriseSink("ntfy://topic"), "VLM_API_KEYS"),
        (WebhookSink("http://10.0.0.1/hook"), "VLM_MEDIA_ALLOW"),
        (WebhookSink("ftp://example.com/"), "http or https"),
    ],
)
async def test_sinks_that_may_not_be_used_are_refused(
    tmp_path: Path, sink: NamedSink | AppriseSink | WebhookSink, needle: str
) -> None:
    named = {"ops": NotifyTarget(WebhookSink("http://127.0.0.1/"))}
    good = NotifyTarget(NamedSink("ops"))
    async with opened(tmp_path, Clock(), sinks=named) as alerts:
        with pytest.raises(SinkNotAllowed, match=needle) as caught:
            await alerts.rules.add(replace(PLAIN, notify=(good, NotifyTarget(sink))))
        assert caught.value.param == "notify[1]"
        await alerts.rules.add(replace(PLAIN, notify=(good,)))
        with pytest.raises(SinkNotAllowed):
            await change(alerts, notify=(NotifyTarget(sink),))
    async with opened(tmp_path, Clock()) as alerts:  # the operator took the name away
        await change(alerts, name="Another name")
        with pytest.raises(SinkNotAllowed):
            await change(alerts, notify=(good, good))


async def test_the_facade_replaces_its_rules_and_keeps_what_stays(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.replace_jps(["Is there fire?", "Is it dark?"], None)
        fire, dark = alerts.rules.all()
        for rule in (fire, dark):
            await see(alerts, clock, "door", rule, "Y")
        await alerts.rules.replace_jps(["Is there fire?", "Is it loud?"], None)
        assert {e.prompt: e.end_reason for e in await events_of(alerts)} == {
            "Is there fire?": None,
            "Is it dark?": "rule_deleted",
        }
        assert alerts.rules.all()[0] == fire
        with pytest.raises(StreamNotFound):
            await alerts.rules.replace_jps(["Is there fire?"], "yard")


async def test_still_pictures_are_skipped_once_nothing_can_change(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        rule = await alerts.rules.add(replace(QUICK, confirm=Confirm(2, 3)))
        sight = reduce_clip([RGB, RGB])
        asked = []
        for second in range(2, 60, 2):
            [plan] = alerts.watch.plan(second, {"door": second})
            to_ask = alerts.watch.rules_to_ask(plan, sight, second)
            alerts.watch.finish(plan)
            asked.append(len(to_ask))
            if to_ask:
                clock.set(second)
                batch = replace(looks("door", second, (rule, "Y")), sight=sight)
                await alerts.watch.apply(batch, second)
        # Two looks to confirm, then one each half a minute.
        assert asked == [1, 1, *[0] * 14, 1, *[0] * 12]
        assert (status(alerts).num_looks, status(alerts).num_skipped) == (3, 26)
        assert status(alerts).state == "on"


async def test_rules_that_went_while_they_were_planned_are_not_asked(tmp_path: Path) -> None:
    clock, other = Clock(), replace(QUICK, id="r-other")
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door", "yard")
        for rule in (QUICK, other):
            await alerts.rules.add(rule)
        door, yard = alerts.watch.plan(0.0, {"door": 1, "yard": 1})
        await alerts.rules.delete(other.id)
        await alerts.watch.remove_stream("yard")
        sight = reduce_clip([RGB])
        assert [rule.id for rule in alerts.watch.rules_to_ask(door, sight, 0.0)] == [QUICK.id]
        assert alerts.watch.rules_to_ask(yard, sight, 0.0) == ()
        assert alerts.watch.next_due_s() is None
        for plan in (door, yard):
            alerts.watch.finish(plan)
        assert alerts.watch.next_due_s() == 2.0
        assert await alerts.watch.apply(looks("yard", 2, (QUICK, "Y")), 0.0) == []
        assert {*alerts.scene.tallies} <= {(QUICK.id, "door")}


async def test_a_clip_is_pending_until_it_is_written_and_never_after_a_restart(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door", "yard", "roof")
        await alerts.rules.add(QUICK)
        ids = {}
        for stream_id in ("door", "yard", "roof"):
            batch = replace(looks(stream_id, 2, (QUICK, "Y")), has_clip=True)
            [message] = await alerts.watch.apply(batch, 0.0)
            ids[stream_id] = message.event.id
        await alerts.watch.clip_done(ids["door"], is_ready=True)
        await alerts.watch.clip_done(ids["yard"], is_ready=False)
        await alerts.watch.clip_done("evt_none", is_ready=True)
        [update] = await see(alerts, clock, "door", QUICK, "Y", start_s=10)
        assert update.event.evidence is not None
        assert update.event.evidence.clip == "ready"
    async with opened(tmp_path, clock) as alerts:
        clips = {e.stream_id: e.evidence.clip for e in await events_of(alerts) if e.evidence}
        assert clips == {"door": "ready", "yard": "none", "roof": "none"}
        with pytest.raises(EvidenceGone):
            await alerts.events.clip(ids["door"])
        await running(alerts, "roof")
        [end] = await see(alerts, clock, "roof", QUICK, "N", start_s=20)
        assert end.event.evidence is not None
        assert end.event.evidence.clip == "none"


async def test_old_events_go_with_their_evidence(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock, event_retention_days=1) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        begin, _ = await see(alerts, clock, "door", QUICK, "YN")
        picture = await alerts.events.frame(begin.event.id, "begin")
        await alerts.events.tidy(at(86400))
        assert picture.exists()
        await alerts.events.tidy(at(86405))
        assert not picture.exists()
        with pytest.raises(EventNotFound):
            await alerts.events.get(begin.event.id)


async def test_looks_that_change_nothing_are_not_written(tmp_path: Path) -> None:
    """A disk at the edge is worn out by writes; a restart needs none of these."""
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        await see(alerts, clock, "door", QUICK, "NN")
        wal = tmp_path / "lookout.db-wal"
        before = wal.stat().st_size
        await see(alerts, clock, "door", QUICK, "N?N?NNN", start_s=10)
        await alerts.watch.tick()
        assert wal.stat().st_size == before
        await see(alerts, clock, "door", QUICK, "Y", start_s=30)
        assert wal.stat().st_size > before
