"""A Python function -> its name, its description, and its parameters as JSON schema.

Reads type hints (str, int, float, bool, None, Any, Literal, unions, list, dict) and docstrings in
the Google, NumPy and Sphinx styles. Calls nothing.
"""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    None: {"type": "null"},
    Any: {},
    list: {"type": "array"},
    dict: {"type": "object"},
}
_SPHINX = re.compile(r":param\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)")
_GOOGLE = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY = re.compile(r"(\w+)\s*(?::.*)?$")
_GOOGLE_SECTION = re.compile(r"(Args|Arguments|Parameters)\s*:$")
_SECTION = re.compile(r":\w+|\w[\w ]*:$|>>>")


def describe(function: Callable[..., Any]) -> tuple[str, str, dict[str, Any]]:
    """Name, description and parameters of a function.

    Raises TypeError, naming the parameter, for what JSON arguments cannot express.
    """
    if not inspect.isroutine(function):
        raise TypeError(f"{function!r} is no function or method: wrap it in one, with type hints")
    name = function.__name__
    description, texts = read_docstring(inspect.getdoc(function) or "")
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(f"{name}: a type hint cannot be read: {error}") from None
    properties: dict[str, Any] = {}
    required: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        where = f"{name}(… {parameter.name} …)"
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{where}: a call gives arguments by name; this one takes none")
        if parameter.name not in hints:
            raise TypeError(f"{where} has no type hint, so its values cannot be described")
        schema = schema_of(hints[parameter.name], where)
        if parameter.name in texts:
            schema = {**schema, "description": texts[parameter.name]}
        if parameter.default is inspect.Parameter.empty:
            required.append(parameter.name)
        elif _is_json(parameter.default):
            schema = {**schema, "default": parameter.default}
        properties[parameter.name] = schema
    parameters: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    return name, description, parameters


def schema_of(hint: Any, where: str) -> dict[str, Any]:
    """The JSON schema of a type hint; TypeError, beginning with `where`, when it has none."""
    try:
        if hint in _PLAIN:
            return dict(_PLAIN[hint])
    except TypeError:  # not hashable
        pass
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        texts = [extra for extra in inside[1:] if isinstance(extra, str)]
        return schema_of(inside[0], where) | ({"description": texts[0]} if texts else {})
    if origin is Literal:
        if all(value is None or isinstance(value, str | int) for value in inside):
            return {"enum": list(inside)}
    elif origin in (Union, types.UnionType):
        return _union([schema_of(part, where) for part in inside])
    elif origin in (list, Sequence):
        return {"type": "array", "items": schema_of(inside[0], where)}
    elif origin in (dict, Mapping) and inside[0] is str:
        return {"type": "object", "additionalProperties": schema_of(inside[1], where)}
    raise TypeError(
        f"{where}: {hint!r} is none of str, int, float, bool, None, Any, Literal, unions, list and "
        "dict with str keys; take one of those, or describe the tool with Tool.from_json"
    )


def _union(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """One schema for several: types together when they are nothing but types."""
    if all(part.keys() == {"type"} for part in parts):
        return {"type": [part["type"] for part in parts]}
    return {"anyOf": parts}


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The description that a docstring begins with, and what it says of each parameter."""
    lines = text.splitlines()
    texts: dict[str, str] = {}
    end = next((at for at in range(1, len(lines)) if _starts_section(lines, at)), len(lines))
    for at, line in enumerate(lines):
        if line.startswith(":param"):
            texts = _entries(lines[at:], _SPHINX) | texts
        elif _GOOGLE_SECTION.match(line):
            texts |= _entries(lines[at + 1 :], _GOOGLE)
        elif line == "Parameters" and _starts_section(lines, at):
            rest = range(at + 2, len(lines))
            stop = next((i for i in rest if _starts_section(lines, i)), len(lines))
            texts |= _entries(lines[at + 2 : stop], _NUMPY)
    return " ".join("\n".join(lines[:end]).split()), texts


def _starts_section(lines: Sequence[str], at: int) -> bool:
    """Whether a section begins: `Returns:`, `Returns` underlined, `:returns:`, or an example."""
    underlined = lines[at + 1 : at + 2] and re.fullmatch("-{3,}", lines[at + 1])
    return bool(underlined or _SECTION.match(lines[at]))


def _entries(lines: Sequence[str], entry: re.Pattern[str]) -> dict[str, str]:
    """The entries at the indent of the first line, each with the deeper lines below it."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    indent: int | None = None
    for line in filter(str.strip, lines):
        depth = len(line) - len(line.lstrip())
        indent = depth if indent is None else indent
        match = entry.match(line.strip()) if depth == indent else None
        if depth > indent:
            current.append(line.strip())
        elif match:
            current = found.setdefault(match[1], [])
            current += match.groups()[1:]
        elif line.startswith(":"):  # `:type x: int` between two `:param`
            current = []
        else:
            break
    return {name: " ".join(parts).strip() for name, parts in found.items() if any(parts)}
