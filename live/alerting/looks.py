"""What came of one question to the model: looks of several rules at the same frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from contracts.events import Look
from contracts.judging import Judgement
from contracts.media import U8
from contracts.rules import Rule
from live.alerting.change_gate import Sight


@dataclass(frozen=True, slots=True, eq=False)
class LookBatch:
    """Judgements of rules on the frames of one clip.

    Attributes:
        rules: As they were when they were asked.
        judgements: One for each rule.
        frame_times: When the frames were captured.
        rgb: The newest frame, uint8, shape (H, W, 3), for evidence; not modified.
        has_clip: Whether a clip will be written of what begins now.
        model: Name of the model that judged.
        sight: Of the frames, for the change gate.
    """

    stream_id: str
    rules: tuple[Rule, ...]
    judgements: tuple[Judgement, ...]
    frame_times: tuple[datetime, ...]
    rgb: U8 | None = None
    has_clip: bool = False
    model: str | None = None
    sight: Sight | None = None

    def looks(self) -> Iterator[tuple[Rule, Look]]:
        """Each rule, and what its look said."""
        has_picture = self.rgb is not None
        for rule, said in zip(self.rules, self.judgements, strict=True):
            times, model = self.frame_times, self.model
            yield rule, Look(said.p_yes, said.known, times, has_picture, self.has_clip, model)
