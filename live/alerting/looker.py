"""Looks at live streams for rules: what is due is asked, what is said is weighed.

Belongs to one event loop.
"""

import asyncio
import logging
import time
from dataclasses import replace

from contracts.errors import ServiceError
from live.alerting.asking import Asker
from live.alerting.change_gate import see
from live.alerting.event_clips import EventClips
from live.alerting.look_planner import LookPlan
from live.alerting.watch import Watch

IDLE_S = 0.5  # until rules and streams that are new are seen
POLL_S = 0.1  # until a rule that is due is tried again for a new frame
MAX_AT_ONCE = 4  # looks whose frames are in memory

logger = logging.getLogger(__name__)


class Looker:
    """Every rule on every stream, at its interval, for as long as it runs.

    A look that fails is not a "no": it counts for nothing, and is made again when it is due.
    """

    def __init__(self, asker: Asker, watch: Watch, clips: EventClips) -> None:
        self._asker = asker
        self._watch = watch
        self._clips = clips
        self._room = asyncio.Semaphore(MAX_AT_ONCE)
        self._troubles: dict[str, str] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as looks:
            while True:
                newest = self._asker.streams.newest_sequences()
                for plan in self._watch.plan(time.monotonic(), newest):
                    looks.create_task(self._carry_out(plan))
                await asyncio.sleep(self._pause_s())

    def _pause_s(self) -> float:
        due_s = self._watch.next_due_s()
        if due_s is None:
            return IDLE_S
        left_s = due_s - time.monotonic()
        return min(left_s, IDLE_S) if left_s > 0 else POLL_S

    async def _carry_out(self, plan: LookPlan) -> None:
        try:
            async with self._room:
                await self._look(plan)
            self._troubles.pop(plan.stream_id, None)
        except ServiceError as exc:
            self._tell(plan.stream_id, exc)
        except Exception:
            logger.exception("stream %s: a look failed (server_error)", plan.stream_id)
        finally:
            self._watch.finish(plan)

    async def _look(self, plan: LookPlan) -> None:
        clip = await self._asker.frames(plan.stream_id, plan.look_back)
        sight = await asyncio.to_thread(see, [frame.rgb for frame in clip.frames])
        rules = self._watch.rules_to_ask(plan, sight, time.monotonic())
        if not rules:
            return
        batch = await self._asker.ask(plan.stream_id, rules, clip)
        batch = replace(batch, sight=sight, has_clip=self._clips.are_kept)
        self._clips.keep(await self._watch.apply(batch, time.monotonic()))

    def _tell(self, stream_id: str, error: ServiceError) -> None:
        """Log what stands in the way of looks, once until it is something else."""
        if self._troubles.get(stream_id) != error.code:
            self._troubles[stream_id] = error.code
            logger.warning("stream %s cannot be judged (%s): %s", stream_id, error.code, error)
