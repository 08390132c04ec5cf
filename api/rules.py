"""``/v1/rules``: what is watched for, and how it stands. Works while the model loads."""

from typing import TypeVar

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse

from api.body import Intake
from api.deps import GetAlerts, GetDeps
from api.openapi import Success, json_of, operation
from api.problems import request_error
from api.query import NoQuery, read_query
from api.replies import Json
from api.rule_edits import changed_rule, new_rule
from api.rule_json import rule_json, rule_test_json
from api.rule_replies import RuleDeleted, RuleList, RuleReply, RuleTestReply
from api.rule_schemas import RuleBody, RulePatch, RulesQuery, RuleTestBody
from api.wire_schemas import WireSchema
from contracts.rules import Rule

ALL = "/v1/rules"
ONE = "/v1/rules/{rule_id}"
TEST = "/v1/rules/{rule_id}/test"
READING = (400, 401)
WRITING = (400, 401, 404, 409, 413, 415, 503)

F = TypeVar("F", bound=WireSchema)


def rule_routes(deps: GetDeps, alerts: GetAlerts, intake: Intake) -> APIRouter:
    """The routes that add, show, change and delete rules."""
    router = APIRouter(tags=["rules"])

    def show(rule: Rule) -> Json:
        return rule_json(rule, alerts().rules.statuses(rule), deps().settings.default_notify)

    added = Success(json_of(RuleReply), 201, ("location",))

    @router.post(
        ALL,
        status_code=201,
        **operation(ALL, "Add a rule", added, *WRITING, body=json_of(RuleBody)),
    )
    async def add_rule(request: Request) -> JSONResponse:
        """A yes/no question that is put to one stream, or to every one, again and again."""
        body = _read(RuleBody, (await intake.json(request)).value)
        rule = await alerts().rules.add(new_rule(body))
        return JSONResponse(show(rule), 201, {"location": f"{ALL}/{rule.id}"})

    @router.get(ALL, **operation(ALL, "List the rules", RuleList, *READING, query=RulesQuery))
    async def list_rules(request: Request) -> Json:
        query = read_query(request, RulesQuery)
        rules = [rule for rule in alerts().rules.all() if is_wanted(rule, query)]
        return {"object": "list", "data": [show(rule) for rule in rules]}

    @router.get(ONE, **operation(ONE, "Describe a rule", RuleReply, *READING, 404))
    async def retrieve_rule(rule_id: str, request: Request) -> Json:
        read_query(request, NoQuery)
        return show(alerts().rules.get(rule_id))

    changing = operation(ONE, "Change a rule", RuleReply, *WRITING, body=json_of(RulePatch))

    @router.patch(ONE, **changing)
    async def change_rule(rule_id: str, request: Request) -> Json:
        """A new `prompt`, `window` or `stream_id` ends an open event and begins anew."""
        rules = alerts().rules
        rules.get(rule_id)  # there must be one, whatever the body says
        patch = _read(RulePatch, (await intake.json(request)).value)
        return show(await rules.change(rule_id, lambda rule: changed_rule(rule, patch)))

    trying = operation(
        TEST, "Try a rule out", RuleTestReply, *WRITING, 429, body=json_of(RuleTestBody)
    )

    @router.post(TEST, **trying)
    async def test_rule(rule_id: str, request: Request) -> Json:
        """One look now at each of its streams; nothing changes and nobody is told."""
        alerts().rules.get(rule_id)  # there must be one, whatever the body says
        body = _read(RuleTestBody, (await intake.json(request)).value)
        return rule_test_json(rule_id, await alerts().tests.test(rule_id, body.stream_id))

    @router.delete(ONE, **operation(ONE, "Delete a rule", RuleDeleted, 401, 404, 503))
    async def delete_rule(rule_id: str) -> Json:
        """Its events end, and stay."""
        await alerts().rules.delete(rule_id)
        return {"id": rule_id, "object": "rule", "deleted": True}

    return router


def is_wanted(rule: Rule, query: RulesQuery) -> bool:
    """Whether a rule is to be listed."""
    looks_there = query.stream_id is None or rule.covers(query.stream_id)
    return looks_there and query.enabled in (None, str(rule.enabled).lower())


def _read(schema: type[F], value: object) -> F:
    try:
        return schema.model_validate(value)
    except ValidationError as exc:
        raise request_error(exc) from exc
