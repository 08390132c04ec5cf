"""Shows the newest frames of a live stream to the model and asks it what rules ask."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.judging import Judge, JudgeRequest
from contracts.media import Clip
from contracts.rules import Rule
from contracts.streams import LiveStreams, LookBack
from live.alerting.looks import LookBatch


@dataclass(frozen=True, slots=True)
class Asker:
    """Whom to ask, and how long to wait for the answer.

    Attributes:
        model: Name of the model behind ``judge``.
    """

    streams: LiveStreams
    judge: Judge
    model: str
    timeout_s: float

    async def frames(self, stream_id: str, look_back: LookBack) -> Clip:
        """What a look sees.

        Raises:
            StreamNotFound, StreamNoFreshFrame: There is nothing to see.
        """
        return await asyncio.to_thread(self.streams.clip, stream_id, look_back)

    async def ask(self, stream_id: str, rules: Sequence[Rule], clip: Clip) -> LookBatch:
        """Ask all rules' questions about the same frames at once.

        Raises:
            ServiceError: The model did not answer; ``contracts.judging.Judge`` says why.
        """
        prompts = tuple(rule.prompt for rule in rules)
        deadline_s = time.monotonic() + self.timeout_s
        judgements = await self.judge.judge(JudgeRequest(clip, prompts, deadline_s))
        times = [frame.captured_at for frame in clip.frames]
        return LookBatch(
            stream_id=stream_id,
            rules=tuple(rules),
            judgements=tuple(judgements),
            frame_times=tuple(at for at in times if at is not None),
            rgb=clip.frames[-1].rgb,
            model=self.model,
        )
