"""JSON Schemas that answers are held to: what counts, what is a note, what is refused.

The schema that comes out has only keywords that runners enforce, with values that they can.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import TypeGuard
from urllib.parse import quote, unquote

from contracts.errors import RequestError, UnsupportedValue

MAX_SCHEMA_BYTES = 65_536
MAX_INTEGER = 2**53 - 1  # greater ones are not the same number to every reader of JSON
MAX_DIGITS = 15  # a double keeps them all

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
NOTES = {
    *("title", "description", "default", "examples", "format", "pattern"),
    *("$schema", "$comment", "deprecated", "readOnly", "writeOnly"),
}
ALTERNATIVES = ("anyOf", "oneOf")
CLOSING = ("properties", "required", "additionalProperties")  # only objects have these
LISTING = ("items", "prefixItems", "minItems", "maxItems")  # only arrays

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class AnswerSchema:
    """A schema as text, and the paths of its keywords that are not enforced."""

    text: str
    ignored: tuple[str, ...]


def read_schema(schema: Mapping[str, object], *, at: str, is_strict: bool) -> AnswerSchema:
    """Read the schema that stands at path ``at``.

    Raises:
        UnsupportedValue: It has a keyword that is not enforced, and is strict.
        RequestError: It is too long, or no JSON Schema.
    """
    if len(json.dumps(schema, separators=(",", ":")).encode()) > MAX_SCHEMA_BYTES:
        raise _refusal(at, f"expected at most {MAX_SCHEMA_BYTES} bytes")
    reader = _Reader(at)
    made = reader.node(schema, _Place(at, ""))
    reader.check_references()
    if reader.unknown and is_strict:
        path = reader.unknown[0]
        raise UnsupportedValue(
            f"{path}: expected none of this name in a schema with strict true; "
            "leave it out, or send strict false",
            param=path,
        )
    return AnswerSchema(json.dumps(made, separators=(",", ":")), tuple(reader.unknown))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the request a value stands, and where in the schema, as a JSON pointer."""

    path: str
    pointer: str

    def under(self, name: str) -> "_Place":
        escaped = name.replace("~", "~0").replace("/", "~1")
        return _Place(f"{self.path}.{name}", f"{self.pointer}/{escaped}")

    def item(self, index: int) -> "_Place":
        return _Place(f"{self.path}[{index}]", f"{self.pointer}/{index}")


@dataclass(slots=True)
class _Reader:
    """Reads one schema; ``leads_to`` are the nodes that stand for a node, by pointer."""

    root: str
    unknown: list[str] = field(default_factory=list)
    references: dict[str, _Place] = field(default_factory=dict)
    leads_to: dict[str, list[str]] = field(default_factory=dict)

    def node(self, schema: object, place: _Place) -> object:
        """A schema, or a part of one."""
        if isinstance(schema, bool):
            self.leads_to[place.pointer] = []
            return schema
        if not isinstance(schema, dict):
            raise _refusal(place.path, "expected a schema: an object, true or false")
        made: Json = {}
        self.leads_to[place.pointer] = [
            place.under(word).item(index).pointer
            for word in ALTERNATIVES
            for index in range(len(_as_list(schema.get(word))))
        ]
        for word, value in schema.items():
            if word in KEYWORDS:
                made[word] = KEYWORDS[word](self, value, place.under(word))
            elif word not in NOTES:
                self.unknown.append(f"{place.path}.{word}")
        return _bounded(_completed(made), place)

    def nodes(self, schemas: object, place: _Place) -> object:
        """A list of schemas."""
        if not isinstance(schemas, list) or not schemas:
            raise _refusal(place.path, "expected a list of schemas")
        return [self.node(schema, place.item(index)) for index, schema in enumerate(schemas)]

    def named_nodes(self, schemas: object, place: _Place) -> object:
        """Schemas by name."""
        if not isinstance(schemas, dict):
            raise _refusal(place.path, "expected an object of schemas")
        return {name: self.node(schema, place.under(name)) for name, schema in schemas.items()}

    def reference(self, reference: object, place: _Place) -> object:
        """The place of another node."""
        if not isinstance(reference, str) or not (reference + "/").startswith("#/"):
            raise _refusal(place.path, "expected a place in this schema, such as #/$defs/name")
        target = unquote(reference[1:])
        self.references[target] = place
        self.leads_to[place.pointer.removesuffix("/$ref")].append(target)
        return "#" + quote(target, safe="/~$")

    def check_references(self) -> None:
        """Refuse references to nothing, and those that lead back to themselves at once.

        Raises:
            RequestError: There is one.
        """
        for target, place in self.references.items():
            if target not in self.leads_to:
                raise _refusal(place.path, "expected the place of a schema, there is none")
        try:
            TopologicalSorter(self.leads_to).prepare()
        except CycleError:
            text = "expected no $ref that leads back to itself without a list or object between"
            raise _refusal(self.root, text) from None


def _types(_: _Reader, value: object, place: _Place) -> object:
    names = _as_list(value)
    if not names or not all(name in TYPES for name in names):
        raise _refusal(place.path, f"expected some of {', '.join(TYPES)}")
    return names[0] if len(names) == 1 else list(dict.fromkeys(names))


def _names(_: _Reader, value: object, place: _Place) -> object:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise _refusal(place.path, "expected a list of names")
    return list(dict.fromkeys(value))


def _size(_: _Reader, value: object, place: _Place) -> object:
    if not _is_number(value) or value != int(value) or not 0 <= value <= MAX_INTEGER:
        raise _refusal(place.path, f"expected a whole number from 0 to {MAX_INTEGER}")
    return int(value)


def _bound(_: _Reader, value: object, place: _Place) -> object:
    if not _is_number(value):
        raise _refusal(place.path, "expected a number")
    return value


def _values(reader: _Reader, value: object, place: _Place) -> object:
    if not isinstance(value, list) or not value:
        raise _refusal(place.path, "expected a list of values")
    return _value(reader, value, place)


def _value(_: _Reader, value: object, place: _Place) -> object:
    left = [value]
    while left:
        one = left.pop()
        left += one.values() if isinstance(one, dict) else one if isinstance(one, list) else []
        if isinstance(one, int | float) and not _is_plain(one):
            text = f"expected numbers of at most {MAX_DIGITS} digits before and after the point"
            raise _refusal(place.path, text)
    return value


KEYWORDS: Mapping[str, Callable[[_Reader, object, _Place], object]] = {
    "type": _types,
    "properties": _Reader.named_nodes,
    "required": _names,
    "additionalProperties": _Reader.node,
    "items": _Reader.node,
    "prefixItems": _Reader.nodes,
    "minItems": _size,
    "maxItems": _size,
    "enum": _values,
    "const": _value,
    "anyOf": _Reader.nodes,
    "oneOf": _Reader.nodes,
    "$ref": _Reader.reference,
    "$defs": _Reader.named_nodes,
    "definitions": _Reader.named_nodes,
    "minLength": _size,
    "maxLength": _size,
    "minimum": _bound,
    "maximum": _bound,
}


def _completed(node: Json) -> Json:
    """The node with the type that its keywords mean, closed."""
    if not node.keys() & {"type", "enum", "const", "$ref", *ALTERNATIVES}:
        if node.keys() & set(CLOSING):
            node["type"] = "object"
        elif node.keys() & set(LISTING):
            node["type"] = "array"
    if "properties" in node and not node.keys() & {"$ref", *ALTERNATIVES}:
        node.setdefault("additionalProperties", False)
    return node


def _bounded(node: Json, place: _Place) -> Json:
    """The node with bounds that can be enforced; on numbers with many digits there are none."""
    is_whole = "number" not in _as_list(node.get("type", "number"))
    for word, toward, sign in (("minimum", math.ceil, 1), ("maximum", math.floor, -1)):
        bound = node.get(word)
        if not _is_number(bound):
            continue
        if is_whole and sign * bound > MAX_INTEGER:
            path = place.under(word).path
            raise _refusal(path, f"expected an integer from -{MAX_INTEGER} to {MAX_INTEGER}")
        if is_whole:
            node[word] = sign * max(sign * toward(bound), -MAX_INTEGER)
        elif not _is_plain(bound):
            del node[word]
    return node


def _is_plain(number: float) -> bool:
    """Whether the number is the same to every reader and writer of it."""
    if not _is_number(number):
        return isinstance(number, bool)
    if number == int(number):
        return abs(number) <= MAX_INTEGER
    return abs(number) < 10**MAX_DIGITS and number == float(f"{number:.{MAX_DIGITS}g}") == round(
        number, MAX_DIGITS
    )


def _is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite number; ``1e999`` is read as infinity."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _refusal(path: str, expectation: str) -> RequestError:
    return RequestError(f"{path}: {expectation} (value_error)", param=path)
