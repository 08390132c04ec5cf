import json
from typing import Any

import pytest

from api.answer_schemas import MAX_SCHEMA_BYTES, read_schema
from contracts.errors import RequestError, UnsupportedValue

Schema = dict[str, Any]


def read(schema: Schema) -> Schema:
    made: Schema = json.loads(read_schema(schema, at="s", is_strict=True).text)
    return made


def test_notes_are_left_out_and_the_rest_keeps_its_order() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Car",
        "type": "object",
        "properties": {
            "wheels": {"type": "integer", "minimum": 0, "default": 4},
            "colour": {"type": "string", "pattern": "^[a-z]+$", "format": "email"},
        },
        "required": ["colour"],
    }
    made = read(schema)
    assert made == {
        "type": "object",
        "properties": {
            "wheels": {"type": "integer", "minimum": 0},
            "colour": {"type": "string"},
        },
        "required": ["colour"],
        "additionalProperties": False,
    }
    assert list(made["properties"]) == ["wheels", "colour"]


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({"type": "object"}, {"type": "object"}),
        ({"properties": {}}, {"properties": {}, "type": "object", "additionalProperties": False}),
        (
            {"properties": {}, "additionalProperties": True},
            {"properties": {}, "additionalProperties": True, "type": "object"},
        ),
        ({"items": True}, {"items": True, "type": "array"}),
        ({"minItems": 2.0, "type": "array"}, {"minItems": 2, "type": "array"}),
        ({"type": "integer", "minimum": 1.5}, {"type": "integer", "minimum": 2}),
        ({"type": "integer", "maximum": 2.5}, {"type": "integer", "maximum": 2}),
        ({"type": "integer", "minimum": -(2**63)}, {"type": "integer", "minimum": 1 - 2**53}),
        ({"type": "integer", "maximum": 2**63 - 1}, {"type": "integer", "maximum": 2**53 - 1}),
        ({"type": "number", "minimum": 0.5}, {"type": "number", "minimum": 0.5}),
        ({"type": "number", "minimum": 1e-200}, {"type": "number"}),
        ({"const": None}, {"const": None}),
    ],
)
def test_what_is_meant_is_written_out(schema: Schema, made: Schema) -> None:
    assert read(schema) == made


def test_references_lead_to_any_schema_within() -> None:
    schema = {
        "$defs": {"ä b/c": {"const": 1}, "list": {"type": "array", "items": {"$ref": "#"}}},
        "anyOf": [{"$ref": "#/$defs/%C3%A4%20b~1c"}, {"$ref": "#/$defs/list"}],
    }
    assert read(schema)["anyOf"][0] == {"$ref": "#/$defs/%C3%A4%20b~1c"}


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"multipleOf": 3}, "s.multipleOf"),
        ({"properties": {"a": {"items": {"pattern_": 1}}}}, "s.properties.a.items.pattern_"),
        ({"anyOf": [True, {"not": {}}]}, "s.anyOf[1].not"),
        ({"$defs": {"x": {"allOf": []}}}, "s.$defs.x.allOf"),
    ],
)
def test_keywords_that_are_not_enforced_are_refused_or_named(schema: Schema, path: str) -> None:
    with pytest.raises(UnsupportedValue, match="strict") as caught:
        read(schema)
    assert caught.value.param == path
    assert path in caught.value.message
    assert read_schema(schema, at="s", is_strict=False).ignored == (path,)


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "text"}, "s.type"),
        ({"type": []}, "s.type"),
        ({"type": [{}]}, "s.type"),
        ({"properties": []}, "s.properties"),
        ({"properties": {"a": 1}}, "s.properties.a"),
        ({"required": "a"}, "s.required"),
        ({"items": [{}]}, "s.items"),
        ({"prefixItems": {}}, "s.prefixItems"),
        ({"anyOf": []}, "s.anyOf"),
        ({"enum": []}, "s.enum"),
        ({"enum": "ab"}, "s.enum"),
        ({"minLength": -1}, "s.minLength"),
        ({"minLength": True}, "s.minLength"),
        ({"minLength": 1.5}, "s.minLength"),
        ({"maxLength": float("inf")}, "s.maxLength"),
        ({"minimum": "1"}, "s.minimum"),
        ({"minimum": float("inf")}, "s.minimum"),
        ({"type": "integer", "minimum": 2**60}, "s.minimum"),
        ({"type": "integer", "maximum": -(2**63)}, "s.maximum"),
        ({"const": -(2**63)}, "s.const"),
        ({"const": 10**40}, "s.const"),
        ({"const": float("-inf")}, "s.const"),
        ({"enum": [{"a": [0.1234567890123456]}]}, "s.enum"),
        ({"$ref": "other.json"}, "s.$ref"),
        ({"$ref": "#/$defs/none"}, "s.$ref"),
        ({"$ref": 3}, "s.$ref"),
        ({"$ref": "#"}, "s"),
        ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {}]}}}, "s"),
        ({"description": "a" * MAX_SCHEMA_BYTES}, "s"),
    ],
)
def test_what_is_no_schema_is_refused(schema: Schema, path: str) -> None:
    with pytest.raises(RequestError, match="expected") as caught:
        read(schema)
    assert caught.value.param == path


def test_a_long_chain_of_references_is_followed() -> None:
    chain = {f"a{i}": {"$ref": f"#/$defs/a{i + 1}"} for i in range(1500)} | {"a1500": {}}
    read({"$defs": chain, "$ref": "#/$defs/a0"})
