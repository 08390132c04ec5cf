"""What bodies make of rules: a new one, or another version of one there is."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any

from api.rule_schemas import (
    ConfirmFields,
    NotifyEntry,
    RuleBody,
    RuleFields,
    RulePatch,
    ScheduleBody,
    WindowFields,
)
from contracts.errors import RequestError
from contracts.notify import REDACTED, NotifyTarget, parse_target
from contracts.rule_checks import MAX_NAME_CHARS
from contracts.rules import Confirm, DailyWindow, Rule, Schedule, Window

PLAIN = ("interval_s", "on_threshold", "off_threshold", "cooldown_s", "severity", "enabled")


def new_rule(body: RuleBody) -> Rule:
    """The rule that a body asks for, with what it does not say.

    Raises:
        RequestError: An entry of ``notify`` is none.
    """
    now = datetime.now(UTC)
    prompt = body.prompt.strip()
    named = Rule(body.id or str(uuid.uuid4()), prompt, default_name(prompt), now, now)
    return _with_fields(named, body)


def changed_rule(rule: Rule, patch: RulePatch) -> Rule:
    """A rule as a patch wants it; ``null`` is a value of ``stream_id``, ``schedule``, ``notify``.

    Raises:
        RequestError: An entry of ``notify`` is none.
    """
    if patch.prompt is not None:
        prompt = patch.prompt.strip()
        is_named = rule.name != default_name(rule.prompt)
        rule = replace(rule, prompt=prompt, name=rule.name if is_named else default_name(prompt))
    return _with_fields(rule, patch)


def default_name(prompt: str) -> str:
    """The name of a rule that nobody named."""
    return prompt[:MAX_NAME_CHARS]


def _with_fields(rule: Rule, said: RuleFields) -> Rule:
    plain: dict[str, Any] = {  # checked by the schema
        name: getattr(said, name) for name in PLAIN if getattr(said, name) is not None
    }
    nullable: dict[str, Any] = {
        "stream_id": said.stream_id,
        "schedule": _schedule(said.schedule),
        "notify": _targets(said.notify),
    }
    return replace(
        rule,
        name=rule.name if said.name is None else said.name or default_name(rule.prompt),
        window=_window(rule.window, said.window or WindowFields()),
        confirm=_confirm(rule.confirm, said.confirm or ConfirmFields()),
        **plain,
        **{name: value for name, value in nullable.items() if name in said.model_fields_set},
    )


def _window(window: Window, said: WindowFields) -> Window:
    return Window(
        window.seconds if said.seconds is None else said.seconds,
        window.num_frames if said.frames is None else said.frames,
    )


def _confirm(confirm: Confirm, said: ConfirmFields) -> Confirm:
    return Confirm(said.n or confirm.n, said.of or confirm.of)


def _schedule(said: ScheduleBody | None) -> Schedule | None:
    if said is None:
        return None
    windows = [
        DailyWindow(tuple(one.days), time.fromisoformat(one.start), time.fromisoformat(one.end))
        for one in said.windows
    ]
    return Schedule(said.timezone, tuple(windows))


def _targets(said: list[NotifyEntry] | None) -> tuple[NotifyTarget, ...] | None:
    if said is None:
        return None
    return tuple(_target(index, entry) for index, entry in enumerate(said))


def _target(index: int, entry: NotifyEntry) -> NotifyTarget:
    param = f"notify[{index}]"
    written = entry if isinstance(entry, str) else entry.model_dump(exclude_none=True)
    if not isinstance(written, str) and any(
        REDACTED in str(written.get(name, "")) for name in ("url", "secret", "apprise")
    ):
        message = f"{param}: expected the whole of it, {REDACTED} came; or leave notify as it is"
        raise RequestError(message, param=param)
    try:
        return parse_target(written)
    except ValueError as exc:
        raise RequestError(f"{param}: {exc}", param=param) from None
