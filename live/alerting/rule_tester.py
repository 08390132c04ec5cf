"""Tries a rule out: one look now, of which nothing comes."""

import asyncio
import time

from contracts.errors import RequestError, StreamNoFreshFrame, StreamNotFound
from contracts.rule_tests import RuleTest
from contracts.rules import Rule
from contracts.streams import LookBack
from live.alerting.asking import Asker
from live.alerting.rule_state import verdict
from live.alerting.scene import Scene


class RuleTester:
    """Implements ``contracts.rule_tests.RuleTests``."""

    def __init__(self, asker: Asker, scene: Scene) -> None:
        self._asker = asker
        self._scene = scene

    async def test(self, rule_id: str, stream_id: str | None = None) -> list[RuleTest]:
        """Look once at each stream of a rule, or at one of them."""
        rule = self._scene.rules.get(rule_id)
        stream_ids = self._scene.streams_of(rule)
        if stream_id is not None:
            self._scene.require_stream(stream_id)
            if stream_id not in stream_ids:
                message = f"expected a stream that the rule looks at: {', '.join(stream_ids)}"
                raise RequestError(message, param="stream_id")
            stream_ids = [stream_id]
        return [*await asyncio.gather(*(self._test(rule, one) for one in stream_ids))]

    async def _test(self, rule: Rule, stream_id: str) -> RuleTest:
        began_s = time.monotonic()
        look_back = LookBack(rule.window.seconds, rule.window.num_frames)
        try:
            clip = await self._asker.frames(stream_id, look_back)
        except (StreamNoFreshFrame, StreamNotFound) as exc:
            return RuleTest(stream_id, error=exc.code)
        batch = await self._asker.ask(stream_id, [rule], clip)
        ((_, look),) = batch.looks()
        return RuleTest(
            stream_id=stream_id,
            score=look.p_yes if look.known else None,
            known=look.known,
            verdict=verdict(rule, look),
            frame_times=look.frame_times,
            latency_s=time.monotonic() - began_s,
        )
