"""Examples in the document are bodies that are taken, and replies as they are."""

import json
from typing import Any

import pytest
from pydantic import BaseModel

from api.analyze_schemas import ImageOptions, VideoOptions
from api.document_schemas import BODIES
from api.examples import EXAMPLES
from api.rule_edits import new_rule
from api.rule_schemas import RuleBody
from tests.api.fakes import serve


@pytest.mark.parametrize("schema", EXAMPLES, ids=lambda one: one.__name__)
def test_an_example_is_what_its_schema_says(schema: type[BaseModel]) -> None:
    schema.model_validate_json(json.dumps(EXAMPLES[schema]))


def test_the_example_of_a_rule_can_be_added() -> None:
    rule = new_rule(RuleBody.model_validate(EXAMPLES[RuleBody]))
    assert rule.schedule is not None
    assert rule.notify is not None
    assert len(rule.notify) == 2


def test_every_json_body_has_an_example() -> None:
    assert {*BODIES} - {ImageOptions, VideoOptions} <= {*EXAMPLES}


def test_the_document_shows_them() -> None:
    document: dict[str, Any] = serve().get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert schemas["RuleBody"]["examples"] == [EXAMPLES[RuleBody]]
    shown = {name for name, one in schemas.items() if "examples" in one}
    assert {one.__name__ for one in EXAMPLES} <= shown
    assert "HTTPValidationError" not in schemas
