"""Schemas are taken as they are given, and closed where that only narrows them."""

import pytest
from pydantic import BaseModel

from backbone.errors import GrammarError
from backbone.schema import as_schema, closed

OPEN = {"type": "object", "properties": {"a": {"type": "integer"}}}
CLOSED = {**OPEN, "additionalProperties": False}


def test_objects_have_the_properties_they_list_wherever_they_stand():
    assert closed(OPEN) == CLOSED
    assert closed({"type": "array", "items": OPEN}) == {"type": "array", "items": CLOSED}
    assert closed({"anyOf": [OPEN, {"type": "null"}]}) == {"anyOf": [CLOSED, {"type": "null"}]}
    document = {"$ref": "#/$defs/x", "$defs": {"x": OPEN}}
    assert closed(document) == {"$ref": "#/$defs/x", "$defs": {"x": CLOSED}}


@pytest.mark.parametrize(
    "schema",
    [
        {**OPEN, "additionalProperties": True},
        {**OPEN, "additionalProperties": {"type": "string"}},
        {**OPEN, "patternProperties": {"^x": {}}},
        {**OPEN, "required": ["b"]},
        {"type": "object"},
        {"allOf": [OPEN, {"type": "object", "properties": {"b": {}}}]},
        {**OPEN, "anyOf": [{"required": ["a"]}, {"properties": {"b": {}}}]},
        {"oneOf": [OPEN, {"properties": {"b": {}}}]},
        {"$ref": "#/$defs/x", "properties": {"b": {}}, "$defs": {"x": OPEN}},
    ],
)
def test_what_says_otherwise_or_combines_stays_open(schema):
    assert closed(schema) == schema


def test_a_pydantic_model_is_a_schema():
    class Point(BaseModel):
        x: int

    assert as_schema(Point)["properties"] == {"x": {"title": "X", "type": "integer"}}


@pytest.mark.parametrize(
    "schema", [True, None, 3, "x", [], int, {"enum": {1}}, {"a": float("nan")}]
)
def test_what_is_no_schema_is_refused(schema):
    with pytest.raises(GrammarError, match="JSON"):
        as_schema(schema)
