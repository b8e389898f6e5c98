"""JSON schemas as they are given -> as the grammar takes them.

Accepts mappings and pydantic model classes. Knows no grammar and no values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from backbone.errors import GrammarError

# A schema as people give it: a mapping, or a pydantic model class.
Schema = Mapping[str, Any] | type

ANNOTATIONS = frozenset(
    {
        *("title", "description", "default", "example", "examples", "deprecated", "readOnly"),
        *("writeOnly", "$comment", "$schema", "$id", "$defs", "definitions"),
    }
)
_COMBINING = frozenset(
    {
        *("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$ref", "$dynamicRef"),
        *("unevaluatedProperties", "dependentSchemas"),
    }
)
_INSIDE = ("properties", "$defs", "definitions")  # names -> schemas
_LISTED = ("anyOf", "prefixItems")
_SINGLE = ("items", "additionalProperties")


def as_schema(schema: Schema) -> dict[str, Any]:
    """The JSON schema as a plain dict; GrammarError when it is none."""
    if isinstance(schema, type) and hasattr(schema, "model_json_schema"):
        schema = schema.model_json_schema()
    if not isinstance(schema, Mapping):
        raise GrammarError(
            f"a JSON schema is a mapping or a pydantic model class; got {type(schema).__name__}"
        )
    try:
        json.dumps(dict(schema), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise GrammarError(f"the JSON schema cannot be written as JSON: {error}") from None
    return dict(schema)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema where objects that list their properties have no others, unless it says so.

    JSON schema allows others by default; hardly anybody means that, and a model would use it. Where
    schemas are combined the default stays: what one part does not list another may.
    """
    return schema if any(map(_combines, _nodes(schema))) else _close(schema)


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner)


def _combines(node: dict[str, Any]) -> bool:
    keys = node.keys() - ANNOTATIONS
    return bool(keys & _COMBINING) and keys not in ({"anyOf"}, {"$ref"})


def _close(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    result = dict(schema)
    for key in _INSIDE:
        if isinstance(inner := schema.get(key), dict):
            result[key] = {name: _close(part) for name, part in inner.items()}
    for key in _LISTED:
        if isinstance(inner := schema.get(key), list):
            result[key] = [_close(part) for part in inner]
    for key in _SINGLE:
        if key in schema:
            result[key] = _close(schema[key])
    properties, required = schema.get("properties"), schema.get("required", [])
    if (
        isinstance(properties, dict)
        and isinstance(required, list)
        and not schema.keys() & {"additionalProperties", "patternProperties"}
        and all(name in properties for name in required)
    ):
        result["additionalProperties"] = False
    return result
