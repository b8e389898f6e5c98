"""What a schema asks for, field by field, and what cannot be asked is refused by name."""

import pytest

from rag.errors import Unsupported
from rag.fields import Field, Record, plan

LEASE = {
    "type": "object",
    "properties": {
        "rent": {"type": "number", "description": "How high is the monthly rent?", "minimum": 0},
        "endDate": {"type": ["string", "null"], "format": "date"},
        "tenant": {"$ref": "#/$defs/Person"},
        "kind": {"enum": ["flat", "house", None]},
        "extras": {"type": "array", "items": {"type": "string"}, "title": "Extras"},
        "version": {"const": 1},
        "note": {"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]},
    },
    "required": ["rent"],
    "$defs": {"Person": {"type": "object", "properties": {"full_name": {}}, "title": "Tenant"}},
}


def leaves(part):
    if isinstance(part, Field):
        return [part]
    return [leaf for inner in part.fields for leaf in leaves(inner)]


def test_each_field_has_a_path_a_question_and_a_kind():
    part = plan(LEASE, "The lease?")
    assert isinstance(part, Record)
    found = {f.path: (f.question, f.kind, f.required, f.nullable, f.many) for f in leaves(part)}
    assert found == {
        "rent": ("How high is the monthly rent?", "number", True, False, False),
        "endDate": ("end date", "date", False, True, False),
        "tenant.full_name": ("Tenant: full name", "string", False, False, False),
        "kind": ("kind", "enum", False, True, False),
        "extras": ("Extras", "string", False, False, True),
        "version": ("version", "const", False, False, False),
        "note": ("note", "string", False, True, False),
    }


def test_a_schema_that_is_no_object_is_one_field_that_asks_the_question():
    field = plan({"type": "integer"}, "How many?")
    assert isinstance(field, Field)
    assert (field.path, field.question, field.kind) == ("", "How many?", "integer")
    assert field.read("There are 12 of them.") == 12


@pytest.mark.parametrize(
    ("schema", "quote", "value"),
    [
        ({"type": "integer"}, "It has 12.", 12),
        ({"type": "integer"}, "It has 1.5.", None),
        ({"type": "integer", "maximum": 10}, "It has 12.", None),
        ({"type": "number", "multipleOf": 0.5}, "It has 1.5.", 1.5),
        ({"type": "string"}, "Two\n words", "Two words"),
        ({"type": "string", "maxLength": 3}, "Two words", None),
        ({"type": "string", "pattern": "^[A-Z]"}, "Two words", "Two words"),
        ({"type": "string", "format": "date"}, "3 May 1947", "1947-05-03"),
        ({"type": "boolean"}, "Pets: no", False),
        ({"enum": ["a b", "c"]}, "It is A B.", "a b"),
        ({"enum": ["a", "b"]}, "It is a or b.", None),
        ({"type": "array", "items": {"type": "integer"}}, "1, 2 and 2", [1, 2]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 1}, "1, 2", None),
        ({"type": "array", "items": {"enum": ["x", "y"]}}, "y and x", ["x", "y"]),
        ({"type": "array"}, "Things: x, y", ["x", "y"]),
    ],
)
def test_a_quote_becomes_a_value_that_fits_or_none(schema, quote, value):
    field = plan({"type": "object", "properties": {"f": schema}}, "?").fields[0]
    found = field.read(quote)
    assert (sorted(found) if isinstance(found, list) else found) == value


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "array", "items": {"type": "object"}}, "f: a list of objects"),
        ({"type": "array", "items": {"type": "array"}}, "f: a list of objects or lists"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "f: a choice between several"),
        ({"type": ["string", "integer"]}, "f: a choice between several types"),
        ({"type": "object"}, "f: an object without properties"),
        ({"type": "object", "properties": {"g": {"type": "odd"}}}, "f.g: the type 'odd'"),
        ({"type": "string", "format": "uri"}, "f: a string of the format 'uri'"),
        ({"type": "string", "contentEncoding": "base64"}, "f: the keyword 'contentEncoding'"),
        ({"type": "array", "uniqueItems": True}, "f: the keyword 'uniqueItems'"),
        ({"$ref": "#"}, "f: an object that holds itself"),
        ({"$ref": "#/$defs/none"}, "f: .*does not hold"),
        (True, "f: the schema True"),
        ({"allOf": [{}, {}]}, "f: the keyword 'allOf'"),
    ],
)
def test_what_no_quote_can_fill_is_refused_by_name(schema, message):
    with pytest.raises(Unsupported, match=message):
        plan({"type": "object", "properties": {"f": schema}}, "?")
