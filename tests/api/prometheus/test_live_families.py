"""Metrics of streams and alerts show what is, and nothing of what went."""

from dataclasses import replace
from pathlib import Path

import pytest

from api.prometheus.live_families import alert_families, stream_families
from contracts.event_queries import EventFilter
from contracts.notify import NotifyTarget, WebhookSink
from contracts.streams import StreamConfig, StreamState, StreamStatus
from live.alerts import Alerts
from tests.api.prometheus.scrape import Labels, samples_in, text_of
from tests.live.house import QUICK, Clock, looks, opened, running, see, stream_is
from tests.live.stage import NOON

STATUS = StreamStatus(
    StreamConfig("door", "rtsp://10.0.0.7/", NOON), "rtsp://10.0.0.7/", "rtsp",
    StreamState.RUNNING, NOON, last_frame_age_s=0.25, reconnects=2, frames_captured=9,
    frames_dropped=1,
)  # fmt: skip


async def page(alerts: Alerts, *streams: StreamStatus) -> str:
    return text_of(*stream_families(streams), *alert_families(await alerts.stats()))


async def shown(alerts: Alerts, *streams: StreamStatus) -> dict[str, list[tuple[Labels, float]]]:
    """Every sample by its name, as Prometheus reads it."""
    return samples_in(await page(alerts, *streams))


async def test_streams_show_one_state_of_six_and_what_they_counted(tmp_path: Path) -> None:
    async with opened(tmp_path, Clock()) as alerts:
        found = await shown(alerts, STATUS)
        states = {labels["state"]: value for labels, value in found["lookout_stream_state"]}
        assert states == {one.value: float(one == "running") for one in StreamState}
        assert found["lookout_stream_frame_age_seconds"] == [({"stream_id": "door"}, 0.25)]
        assert found["lookout_stream_reconnects_total"] == [({"stream_id": "door"}, 2)]
        frames = {labels["result"]: n for labels, n in found["lookout_stream_frames_total"]}
        assert frames == {"kept": 9, "dropped": 1}
        for stale in (
            replace(STATUS, last_frame_age_s=None),
            replace(STATUS, state=StreamState.ENDED),
        ):
            assert "lookout_stream_frame_age_seconds" not in await shown(alerts, stale)
        assert "lookout_stream_state" not in await shown(alerts)


async def test_rules_show_their_score_while_they_are_evaluated(tmp_path: Path) -> None:
    clock = Clock()
    gauges = ["lookout_rule_score", "lookout_rule_on", "lookout_rule_interval_seconds"]
    here = {"rule_id": QUICK.id, "stream_id": "door"}
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        assert not {*gauges} & {*await shown(alerts)}
        await see(alerts, clock, "door", QUICK, "YY")
        found = await shown(alerts)
        assert [found[name] for name in gauges] == [[(here, 0.9)], [(here, 1)], [(here, 2)]]
        counted = {labels["verdict"]: n for labels, n in found["lookout_rule_looks_total"]}
        assert counted == {"yes": 2, "no": 0, "unsure": 0, "unknown": 0}
        assert found["lookout_rule_skipped_looks_total"] == [(here, 0)]
        await see(alerts, clock, "door", QUICK, "?", start_s=10)
        assert not {*gauges} & {*await shown(alerts)}
        assert "lookout_rule_looks_total" in await shown(alerts)


@pytest.mark.parametrize("what", ["rule", "stream"])
async def test_series_go_with_their_rule_or_stream(tmp_path: Path, what: str) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        await see(alerts, clock, "door", QUICK, "Y")
        if what == "rule":
            await alerts.rules.delete(QUICK.id)
        else:
            await alerts.watch.remove_stream("door")
        text = await page(alerts)
        assert QUICK.id not in text
        assert "door" not in text


async def test_a_rule_that_is_not_evaluated_shows_no_value(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.replace_jps(["Is there fire?"], None)
        [rule] = alerts.rules.all()
        await see(alerts, clock, "door", rule, "Y")
        assert len((await shown(alerts))["alert_status"]) == 1
        clock.set(100)
        await alerts.watch.tick()
        assert not {"alert_status", "lookout_rule_on"} & {*await shown(alerts)}


async def test_the_facade_shows_the_maximum_over_its_streams(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door", "yard")
        await alerts.rules.add(QUICK)
        await alerts.rules.replace_jps(['Is there "fire"?', "Is it dark?"], None)
        _, fire, dark = alerts.rules.all()
        assert "alert_status" not in await shown(alerts)
        for stream_id, score in (("door", "Y"), ("yard", "N")):
            pairs = [(QUICK, "Y"), (fire, score), (dark, "N")]
            await alerts.watch.apply(looks(stream_id, 2, *pairs), 0.0)
        assert (await shown(alerts))["alert_status"] == [
            ({"alert_number": "r0", "alert_string": 'Is there "fire"?'}, 1),
            ({"alert_number": "r1", "alert_string": "Is it dark?"}, 0),
        ]
        text = await page(alerts)
        assert 'alert_status{alert_number="r1",alert_string="Is it dark?"} 0.0' in text


async def test_events_deliveries_and_feeds_are_counted(tmp_path: Path) -> None:
    clock = Clock()
    told = (NotifyTarget(WebhookSink("http://127.0.0.2/")),)  # an address that is not permitted
    async with opened(tmp_path, clock, default_notify=told) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        await alerts.feed.subscribe("ws", EventFilter())
        await see(alerts, clock, "door", QUICK, "YN")
        await stream_is(alerts, "door", "lost")
        await alerts.outbox.turn()
        await alerts.outbox.settle()
        clock.set(10)
        found = await shown(alerts)
        assert found["lookout_events_total"] == [
            ({"type": "alert", "severity": "warning", "kind": "begin"}, 1),
            ({"type": "alert", "severity": "warning", "kind": "end"}, 1),
            ({"type": "stream_lost", "severity": "warning", "kind": "begin"}, 1),
        ]
        assert found["lookout_feed_clients"] == [
            ({"kind": "sse"}, 0), ({"kind": "ws"}, 1), ({"kind": "jps"}, 0),
        ]  # fmt: skip
        retried = {"sink_kind": "webhook", "result": "retry"}
        assert found["lookout_deliveries_total"] == [(retried, 2)]
        assert found["lookout_outbox_depth"] == [({}, 3)]
        assert found["lookout_outbox_oldest_seconds"] == [({}, 8)]
    async with opened(tmp_path / "other", clock) as alerts:
        found = await shown(alerts)
        assert found["lookout_outbox_depth"] == [({}, 0)]
        assert "lookout_outbox_oldest_seconds" not in found


async def test_how_old_frames_were_when_they_were_judged(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        for lag_s in (0.1, 0.3, 40.0):
            clock.set(100)
            await alerts.watch.apply(looks("door", 100 - lag_s, (QUICK, "N")), 0.0)
        found = await shown(alerts)
        counts = {labels["le"]: n for labels, n in found["lookout_look_seconds_bucket"]}
        assert counts["0.1"] == 1
        assert counts["0.5"] == 2
        assert counts["30.0"] == 2
        assert counts["+Inf"] == 3
        assert found["lookout_look_seconds_count"] == [({}, 3)]
        [(_, total_s)] = found["lookout_look_seconds_sum"]
        assert total_s == pytest.approx(40.4)
