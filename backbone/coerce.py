"""A value that a model wrote -> the value that a JSON schema means.

`"5"` becomes 5 where only an integer is allowed, and so on; what cannot become valid is a
CallError that says where. Checks types, enums, required and unknown names; limits such as `maximum`
are the grammar's work.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backbone.errors import CallError

_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def coerce(value: Any, schema: Any, *, where: str, root: Any = None) -> Any:
    """The value as the schema wants it. `root` is the document that `$ref` points into."""
    root = schema if root is None else root
    if not isinstance(schema, Mapping):
        if schema is False:
            raise CallError(f"{where} may not be given")
        return value
    if "$ref" in schema:
        value = coerce(value, resolve(schema["$ref"], root), where=where, root=root)
    for part in schema.get("allOf", ()):
        value = coerce(value, part, where=where, root=root)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            value = _first(value, schema[key], where, root)
    value = _typed(value, schema, where)
    if isinstance(value, dict):
        return _object(value, schema, where, root)
    if isinstance(value, list):
        return _array(value, schema, where, root)
    return value


def resolve(reference: Any, root: Any) -> Any:
    """What a `$ref` such as `#/$defs/Place` points to in its document."""
    target = root
    for step in str(reference).removeprefix("#").split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, Mapping) or step not in target:
            raise CallError(f"the schema refers to {reference}, which it does not hold")
        target = target[step]
    return target


def same(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal: True is not 1, and 1.0 is."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


def _first(value: Any, options: Sequence[Any], where: str, root: Any) -> Any:
    """By the first option that takes the value as it is, else the first that can change it."""
    changed = []
    error: CallError | None = None
    for option in options:
        try:
            coerced = coerce(value, option, where=where, root=root)
        except CallError as refused:
            error = error or refused
        else:
            if same(coerced, value):
                return coerced
            changed.append(coerced)
    if not changed:
        raise error or CallError(f"{where} may not be given")
    return changed[0]


def _typed(value: Any, schema: Mapping[str, Any], where: str) -> Any:
    """The value in one of the schema's types, and out of its enum when it has one."""
    options = [schema["const"]] if "const" in schema else schema.get("enum")
    wanted = schema.get("type", ())
    types = [wanted] if isinstance(wanted, str) else list(wanted)
    if options is not None:
        for candidate in (value, *(_cast(value, kind) for kind in _TYPES)):
            for option in options:
                if same(candidate, option):
                    return option
        shown = ", ".join(json.dumps(option, ensure_ascii=False) for option in options)
        raise CallError(f"{where} must be one of {shown}; got {_show(value)}")
    if not types or any(_TYPES[kind](value) for kind in types if kind in _TYPES):
        return value
    for kind in types:
        candidate = _cast(value, kind)
        if kind in _TYPES and _TYPES[kind](candidate):
            return candidate
    raise CallError(f"{where} must be {' or '.join(types)}; got {_show(value)}")


def _cast(value: Any, kind: str) -> Any:
    """A value in another type where both mean the same; else the value."""
    if kind == "string":
        return json.dumps(value) if _TYPES["number"](value) else value
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        try:
            return json.loads({"True": "true", "False": "false", "None": "null"}.get(value, value))
        except (ValueError, RecursionError):
            return value
    return value


def _object(value: dict[str, Any], schema: Mapping[str, Any], where: str, root: Any) -> Any:
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    if "patternProperties" in schema:  # which of them a name matches is the grammar's to know
        others = True
    for name in schema.get("required", ()):
        if name not in value:
            raise CallError(f"{where} lacks {name!r}, which is required")
    coerced = {}
    for name, inner in value.items():
        if name in properties:
            part = properties[name]
        elif others is False:
            known = ", ".join(properties) or "none"
            raise CallError(f"{where} has no {name!r}; there is: {known}")
        else:
            part = others
        coerced[name] = coerce(inner, part, where=f"{where}.{name}", root=root)
    return coerced


def _array(value: list[Any], schema: Mapping[str, Any], where: str, root: Any) -> Any:
    first = schema.get("prefixItems", ())
    rest = schema.get("items", True)
    return [
        coerce(item, first[at] if at < len(first) else rest, where=f"{where}[{at}]", root=root)
        for at, item in enumerate(value)
    ]


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 100 else text[:100] + "…"
