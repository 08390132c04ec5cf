"""One rule on one live stream: when what it looks for begins, goes on and ends.

Pure: values in, values out; moments, ids and looks are handed in. Hysteresis, confirmation,
cooldown and updates are decided here and nowhere else. Knows nothing of the store and of sinks.

Source: API.md 5.3, whose numbers the comments give.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts.events import EndReason, Event, Evidence, Look, Score, Verdict
from contracts.rules import Rule
from live.alerting.event_ids import NewEventId
from live.alerting.notice import Notice, begun, ended, updated

MIN_UPDATE_S = 10.0


@dataclass(frozen=True, slots=True)
class KnownLook:
    """What counts of a look when later ones are weighed."""

    at: datetime
    p_yes: float


@dataclass(frozen=True, slots=True)
class RuleState:
    """Everything that decides what the next look means.

    Attributes:
        looks: The last known ones, newest last.
        event: The open event; without one the rule is off.
        seen_at: Newest frame of the latest look, known or not.
        sinks_told_at: When sinks were last told of a begin; outlives the event.
        told_at: When the open event's latest message was made.
    """

    looks: tuple[KnownLook, ...] = ()
    event: Event | None = None
    seen_at: datetime | None = None
    sinks_told_at: datetime | None = None
    told_at: datetime | None = None

    def forget(self) -> "RuleState":
        """The state without anything that was seen; the cooldown goes on."""
        return RuleState(sinks_told_at=self.sinks_told_at)


@dataclass(frozen=True, slots=True)
class Step:
    """The state after something happened, and what is to be told of it, in order."""

    state: RuleState
    notices: tuple[Notice, ...] = ()


def verdict(rule: Rule, look: Look) -> Verdict:
    """What one look says by the rule's thresholds."""
    return side_of(rule, look.p_yes) if look.known else "unknown"


def side_of(rule: Rule, p_yes: float) -> Verdict:
    """What a known score says by the rule's thresholds."""
    if p_yes >= rule.on_threshold:  # comes first: where the two are equal, off means below (2)
        return "yes"
    return "no" if p_yes <= rule.off_threshold else "unsure"


@dataclass(frozen=True, slots=True)
class RuleOnStream:
    """The rule's decisions on one stream; every method leaves its arguments as they are."""

    rule: Rule
    stream_id: str
    stream_name: str
    new_id: NewEventId

    def see(self, state: RuleState, look: Look, now: datetime) -> Step:
        """Weigh a look.

        A look without a frame newer than the last one's counts for nothing (1).
        """
        if state.seen_at is not None and look.at <= state.seen_at:
            return Step(state)
        let_out = self.let_out(state, now)
        weighed = self._weigh(replace(let_out.state, seen_at=look.at), look, now)
        return Step(weighed.state, let_out.notices + weighed.notices)

    def let_out(self, state: RuleState, now: datetime) -> Step:
        """Tell sinks of a suppressed event that is still on when the cooldown is over (4)."""
        event = state.event
        if event is None or not event.suppressed or self._cools_down(state, now):
            return Step(state)
        event = replace(event, suppressed=False)
        notice = Notice("update", event, now, sink_kind="begin")
        return Step(replace(state, event=event, sinks_told_at=now, told_at=now), (notice,))

    def end(self, state: RuleState, reason: EndReason, now: datetime) -> Step:
        """End the open event for another reason than a look, and forget what was seen (5)."""
        if state.event is None:
            return Step(state.forget())
        return Step(state.forget(), (ended(state.event, reason, now, now),))

    def is_settled(self, state: RuleState) -> bool:
        """Whether looks that say the same as the latest could change nothing.

        They could, as long as they would still move the rule towards the other side.
        """
        if not state.looks:
            return False
        side = side_of(self.rule, state.looks[-1].p_yes)
        return side != ("yes" if state.event is None else "no")

    def sides(self, state: RuleState) -> tuple[Verdict, ...]:
        """What each of the looks that count says."""
        return tuple(side_of(self.rule, look.p_yes) for look in state.looks)

    def _weigh(self, state: RuleState, look: Look, now: datetime) -> Step:
        if look.known:
            looks = (*state.looks, KnownLook(look.at, look.p_yes))
            state = replace(state, looks=looks[-self.rule.confirm.of :])
        if state.event is not None:
            return self._go_on(state, state.event, look, now)
        if look.known and self._confirms(state, "yes"):
            return self._begin(state, look, now)
        return Step(state)

    def _confirms(self, state: RuleState, side: Verdict) -> bool:
        """Whether n of the last looks are on this side, the newest among them.

        Without the newest among them, both sides could be confirmed at once where n is at most
        half of ``of``, and the rule would switch on old looks.
        """
        sides = self.sides(state)[-self.rule.confirm.of :]
        return sides[-1] == side and sides.count(side) >= self.rule.confirm.n

    def _begin(self, state: RuleState, look: Look, now: datetime) -> Step:
        suppressed = self._cools_down(state, now)
        rule = self.rule
        event = Event(
            id=self.new_id(now),
            type="alert",
            severity=rule.severity,
            suppressed=suppressed,
            rule_id=rule.id,
            rule_name=rule.name,
            prompt=rule.prompt,
            alert_number=rule.alert_number,
            stream_id=self.stream_id,
            stream_name=self.stream_name,
            began_at=look.at,
            updated_at=look.at,
            score=Score(look.p_yes, look.p_yes, look.p_yes),
            num_looks=1,
            frame_times=look.frame_times,
            model=look.model,
            evidence=Evidence(look.has_picture, clip="pending" if look.has_clip else "none"),
        )
        sinks_told_at = state.sinks_told_at if suppressed else now
        state = replace(state, event=event, sinks_told_at=sinks_told_at, told_at=now)
        return Step(state, (begun(event, now),))

    def _go_on(self, state: RuleState, event: Event, look: Look, now: datetime) -> Step:
        event = _counted(event, look)
        if look.known and self._confirms(state, "no"):
            off = replace(state, event=None, told_at=None)
            return Step(off, (ended(event, "cleared", look.at, now),))
        state = replace(state, event=event)
        if _is_within(state.told_at, self._update_period_s, now):
            return Step(state)
        return Step(replace(state, told_at=now), (updated(event, now),))

    @property
    def _update_period_s(self) -> float:
        """How often an open event is told of again; 0 is after every look (3)."""
        cooldown_s = self.rule.cooldown_s
        return max(cooldown_s, MIN_UPDATE_S) if cooldown_s > 0 else 0.0

    def _cools_down(self, state: RuleState, now: datetime) -> bool:
        return _is_within(state.sinks_told_at, self.rule.cooldown_s, now)


def _counted(event: Event, look: Look) -> Event:
    """The event with one more look."""
    event = replace(event, num_looks=(event.num_looks or 0) + 1, updated_at=look.at)
    score, kept = event.score, event.evidence
    if not look.known or score is None or kept is None:
        return event
    is_peak = look.p_yes > score.peak
    return replace(
        event,
        score=Score(score.begin, max(score.peak, look.p_yes), look.p_yes),
        evidence=replace(kept, has_peak=look.has_picture) if is_peak else kept,
    )


def _is_within(since: datetime | None, seconds: float, now: datetime) -> bool:
    """Whether less than ``seconds`` passed since then.

    A moment in the future is none to wait for: the clock was put back.
    """
    return since is not None and timedelta(0) <= now - since < timedelta(seconds=seconds)
