from dataclasses import replace

from contracts.engine_stats import ClassStats, EngineStats
from contracts.generation import PromptTokens
from runners.engine_meter import EngineMeter


def test_an_engine_that_did_nothing_counts_what_nobody_counted() -> None:
    stats = EngineMeter().stats({}, {})
    assert replace(stats, classes={}) == EngineStats()
    assert stats.of("upload") == ClassStats() == EngineStats().of("chat")


def test_work_is_counted_under_its_class() -> None:
    meter = EngineMeter()
    meter["alert"].queue_s.count(0.3)
    meter["chat"].num_generated += 2
    stats = meter.stats({"chat": 3}, {"alert": 1}, kv_bytes=7)
    assert (stats.of("chat").num_waiting, stats.of("alert").num_running) == (3, 1)
    assert stats.of("chat").num_generated == 2
    assert stats.of("alert").queue_s.counts[-1] == 1
    assert stats.of("chat").queue_s.counts[-1] == 0
    assert stats.kv_bytes == 7


def test_cached_tokens_are_of_their_kind_as_well() -> None:
    meter = EngineMeter()
    meter.count_prompt(PromptTokens(10, 20, 30), num_cached=25)
    meter.count_prompt(PromptTokens(1), num_cached=0)
    tokens = meter.stats({}, {}).prompt_tokens
    assert tokens == {"text": 11, "image": 20, "video": 30, "cached": 25}


def test_a_snapshot_does_not_change() -> None:
    meter = EngineMeter()
    before = meter.stats({}, {})
    meter.encode_s.count(0.1)
    assert before.encode_s.counts[-1] == 0
