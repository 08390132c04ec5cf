"""``/metrics``, whole: every name and label that was promised, and text that Prometheus takes."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.prometheus.catalogue import CATALOGUE
from contracts.engine_stats import EngineStats, GpuMemory
from contracts.notify import NotifyTarget, WebhookSink
from live.store.tables import deliveries
from runners.scripted import ScriptedRunner
from tests.api.alert_house import AlertHouse, alert_house
from tests.api.fakes import image, saying, serve, user
from tests.api.prometheus.scrape import samples_in
from tests.live.hand_cameras import plain, stage

CLASS, KIND, STREAM, RULE = {"class"}, {"kind"}, {"stream_id"}, {"rule_id", "stream_id"}
PROMISED: dict[str, tuple[str, set[str]]] = {
    "alert_status": ("gauge", {"alert_number", "alert_string"}),
    "lookout_requests_total": ("counter", {"route", "method", "status"}),
    "lookout_request_seconds": ("histogram", {"route"}),
    "lookout_queue_depth": ("gauge", CLASS),
    "lookout_running_sequences": ("gauge", CLASS),
    "lookout_queue_seconds": ("histogram", CLASS),
    "lookout_time_to_first_token_seconds": ("histogram", CLASS),
    "lookout_token_seconds": ("histogram", CLASS),
    "lookout_prompt_tokens_total": ("counter", KIND),
    "lookout_generated_tokens_total": ("counter", CLASS),
    "lookout_encode_seconds": ("histogram", set()),
    "lookout_prefill_seconds": ("histogram", set()),
    "lookout_vision_cache_hits_total": ("counter", set()),
    "lookout_vision_cache_misses_total": ("counter", set()),
    "lookout_vision_cache_bytes": ("gauge", set()),
    "lookout_fetch_seconds": ("histogram", KIND),
    "lookout_decode_seconds": ("histogram", KIND),
    "lookout_media_total": ("counter", KIND | {"result"}),
    "lookout_stream_state": ("gauge", STREAM | {"state"}),
    "lookout_stream_frame_age_seconds": ("gauge", STREAM),
    "lookout_stream_reconnects_total": ("counter", STREAM),
    "lookout_stream_frames_total": ("counter", STREAM | {"result"}),
    "lookout_rule_score": ("gauge", RULE),
    "lookout_rule_on": ("gauge", RULE),
    "lookout_rule_interval_seconds": ("gauge", RULE),
    "lookout_rule_looks_total": ("counter", RULE | {"verdict"}),
    "lookout_look_seconds": ("histogram", set()),
    "lookout_events_total": ("counter", {"type", "severity", "kind"}),
    "lookout_deliveries_total": ("counter", {"sink_kind", "result"}),
    "lookout_outbox_depth": ("gauge", set()),
    "lookout_outbox_oldest_seconds": ("gauge", set()),
    "lookout_feed_clients": ("gauge", KIND),
    "lookout_preview_clients": ("gauge", set()),
    "lookout_model_loaded": ("gauge", set()),
    "lookout_model_info": ("gauge", {"model", "runner", "quantization", "device", "version"}),
    "lookout_gpu_memory_bytes": ("gauge", KIND),
}
ADDED = {"lookout_rule_skipped_looks_total": ("counter", RULE)}


class GpuRunner(ScriptedRunner):
    """Says that it has a GPU."""

    def stats(self) -> EngineStats:
        return EngineStats(gpu_memory=GpuMemory(1, 2, 3))


@pytest.fixture
async def busy(tmp_path: Path) -> AsyncIterator[AlertHouse]:
    """A house in which everything has happened once."""
    told = (NotifyTarget(WebhookSink("http://127.0.0.2/")),)  # an address that is not permitted
    with stage("door") as staged:
        staged.show("door", plain(1))
        async with alert_house(
            tmp_path,
            streams=staged.streams,
            runner=GpuRunner(["Yes"]),
            default_notify=told,
        ) as house:
            chat = user(image("https://a.example/a.png"))
            assert (await house.client.post("/v1/chat/completions", json=chat)).is_success
            await house.alerts.rules.replace_jps(["Is there fire?"], None)
            [rule] = house.alerts.rules.all()
            await house.see(rule, "YYY")
            await house.alerts.outbox.turn()
            await house.alerts.outbox.settle()
            yield house


async def test_every_promised_metric_is_shown_with_its_labels(busy: AlertHouse) -> None:
    promised = PROMISED | ADDED
    shown = {}
    for family in text_string_to_metric_families((await busy.client.get("/metrics")).text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {frozenset(sample.labels) - {"le"} for sample in family.samples}
        shown[name] = (family.type, *(set(one) for one in labels))
    assert shown == promised
    assert {one.name: (one.kind, {*one.labels}) for one in CATALOGUE} == promised


async def test_prometheus_takes_the_text_as_it_is(busy: AlertHouse) -> None:
    """What ``promtool check metrics`` looks at."""
    reply = await busy.client.get("/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(reply.text))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert family.documentation
        assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]", family.name)
        assert not family.name.endswith(("_count", "_sum", "_bucket", "_info_info", "_ms"))
        assert len({(s.name, *sorted(s.labels.items())) for s in family.samples}) == len(
            family.samples
        )
        for sample in family.samples:
            assert all(sample.labels.values()), sample
            if family.type == "counter":
                assert sample.name.endswith("_total")
                assert sample.value >= 0


async def test_what_cannot_be_known_now_is_left_out_and_the_rest_shown(busy: AlertHouse) -> None:
    await busy.alerts._database.write(lambda c: deliveries.drop(c))
    reply = await busy.client.get("/metrics")
    found = samples_in(reply.text)
    assert reply.status_code == 200
    assert not {"lookout_outbox_depth", "lookout_outbox_oldest_seconds"} & {*found}
    assert found["lookout_stream_state"]
    assert found["lookout_rule_looks_total"]


def test_an_app_without_alerts_shows_the_rest() -> None:
    found = samples_in(serve(quantization="nf4").get("/metrics").text)
    assert found["lookout_model_loaded"] == [({}, 1)]
    labels = {"model": "m", "runner": "transformers", "quantization": "nf4", "device": "auto"}
    assert found["lookout_model_info"] == [(labels | {"version": "1.2.3"}, 1)]
    assert found["lookout_queue_depth"] == [
        ({"class": one}, 0) for one in ("chat", "upload", "alert")
    ]
    assert "lookout_gpu_memory_bytes" not in found
    assert "lookout_feed_clients" not in found


def test_a_model_that_loads_is_not_loaded() -> None:
    found = samples_in(serve(saying(card=None)).get("/metrics").text)
    assert found["lookout_model_loaded"] == [({}, 0)]


@pytest.mark.parametrize(("is_public", "status"), [(False, 401), (True, 200)])
def test_the_key_is_asked_for_unless_metrics_are_public(is_public: bool, status: int) -> None:
    client = serve(api_keys="sesame", metrics_public=is_public)
    assert client.get("/metrics").status_code == status
    assert client.get("/metrics", headers={"Authorization": "Bearer sesame"}).status_code == 200
    assert client.get("/metrics?api_key=sesame").status_code == status
