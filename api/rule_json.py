"""Rules as replies show them; what is secret of their sinks is not."""

from collections.abc import Sequence

from api.replies import Json
from contracts.moments import rfc3339, rfc3339_or_none
from contracts.notify import (
    REDACTED,
    TOLD_BY_DEFAULT,
    AppriseSink,
    NamedSink,
    NotifyTarget,
    WebhookSink,
    redacted,
)
from contracts.rule_tests import RuleTest
from contracts.rules import Rule, RuleStatus, Schedule


def rule_json(
    rule: Rule, statuses: Sequence[RuleStatus], default_notify: Sequence[NotifyTarget]
) -> Json:
    """A rule, and how it stands on each of its streams."""
    notify = default_notify if rule.notify is None else rule.notify
    return {
        "id": rule.id,
        "object": "rule",
        "prompt": rule.prompt,
        "name": rule.name,
        "stream_id": rule.stream_id,
        "window": {"seconds": rule.window.seconds, "frames": rule.window.num_frames},
        "interval_s": rule.interval_s,
        "on_threshold": rule.on_threshold,
        "off_threshold": rule.off_threshold,
        "confirm": {"n": rule.confirm.n, "of": rule.confirm.of},
        "cooldown_s": rule.cooldown_s,
        "severity": rule.severity,
        "enabled": rule.enabled,
        "schedule": None if rule.schedule is None else _schedule_json(rule.schedule),
        "notify": [_target_json(target) for target in notify],
        "created_at": rfc3339(rule.created_at),
        "updated_at": rfc3339(rule.updated_at),
        "source": rule.source,
        "alert_number": rule.alert_number,
        "status": [_status_json(status) for status in statuses],
    }


def rule_test_json(rule_id: str, tests: Sequence[RuleTest]) -> Json:
    """What looks that count for nothing said."""
    return {
        "object": "rule.test",
        "rule_id": rule_id,
        "results": [_result_json(test) for test in tests],
    }


def jps_alert_json(rule: Rule, statuses: Sequence[RuleStatus]) -> Json:
    """A rule of the façade; its status is 1 while it is on for any of its streams."""
    return {
        "alert_number": rule.alert_number,
        "alert_string": rule.prompt,
        "id": rule.stream_id or "",
        "status": int(any(status.state == "on" for status in statuses)),
        "rule_id": rule.id,
    }


def _result_json(test: RuleTest) -> Json:
    return {
        "stream_id": test.stream_id,
        "score": test.score,
        "known": test.known,
        "verdict": test.verdict,
        "frame_times": [rfc3339(at) for at in test.frame_times],
        "latency_ms": None if test.latency_s is None else round(test.latency_s * 1000),
        "error": test.error,
    }


def _schedule_json(schedule: Schedule) -> Json:
    windows = [
        {"days": [*one.days], "from": f"{one.start:%H:%M}", "to": f"{one.end:%H:%M}"}
        for one in schedule.windows
    ]
    return {"timezone": schedule.timezone, "windows": windows}


def _target_json(target: NotifyTarget) -> Json | str:
    on = [*(target.on or TOLD_BY_DEFAULT)]
    match target.sink:
        case NamedSink(name):
            return name
        case WebhookSink(_, secret):
            signed = {} if secret is None else {"secret": REDACTED}
            return {"url": redacted(target.sink), **signed, "on": on}
        case AppriseSink():
            return {"apprise": redacted(target.sink), "on": on}


def _status_json(status: RuleStatus) -> Json:
    return {
        "stream_id": status.stream_id,
        "state": status.state,
        "score": status.score,
        "known": status.known,
        "last_look_at": rfc3339_or_none(status.last_look_at),
        "achieved_interval_s": status.achieved_interval_s,
        "num_looks": status.num_looks,
        "num_unknown": status.num_unknown,
        "event_id": status.event_id,
    }
