"""Plain JSON values -> the frozen dataclasses they were made from, with every type checked.

The other way is `Answer.to_json`. Knows no file.
"""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ingest.document import Chunk, Hit

T = TypeVar("T")

_NAMES = {str: "a text", int: "a whole number", bool: "true or false"}


def restore(kind: type[T], value: Any) -> T:
    """A value of a dataclass, from its JSON. Raises ValueError that says what is wrong where."""
    built: T = _restored(kind, value, "")
    return built


def _restored(kind: Any, value: Any, at: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if kind is Hit:
        return _hit(value, at)
    if is_dataclass(kind):
        return _record(kind, value, at)
    if origin is tuple:
        _check(isinstance(value, list), "a list", value, at)
        return tuple(_restored(inner[0], each, f"{at}[{n}]") for n, each in enumerate(value))
    if origin in (Union, UnionType):
        [kind] = [each for each in inner if each is not NoneType]
        return None if value is None else _restored(kind, value, at)
    if origin is Literal:
        _check(value in inner, f"one of {', '.join(inner)}", value, at)
    elif kind is float:
        _check(type(value) in (int, float), "a number", value, at)
    else:
        _check(type(value) is kind, _NAMES[kind], value, at)
    return value


def _record(kind: Any, value: Any, at: str) -> Any:
    """A dataclass, from an object with the names of its fields."""
    _check(isinstance(value, dict), "an object", value, at)
    hints, given = get_type_hints(kind), {}
    for key, each in value.items():
        name = "hits" if key == "passages" and "hits" in hints else key
        if name not in hints:
            raise ValueError(f"{_inside(at, key)} is unknown")
        given[name] = _restored(hints[name], each, _inside(at, key))
    for field in fields(kind):
        if field.name not in given and field.default is MISSING:
            raise ValueError(f"{_inside(at, field.name)} is missing")
    return kind(**given)


def _hit(value: Any, at: str) -> Hit:
    """A passage: a chunk, whose address follows from its source, and a score."""
    _check(isinstance(value, dict), "an object", value, at)
    chunk = {key: each for key, each in value.items() if key not in ("score", "url")}
    score = _restored(float, value.get("score"), _inside(at, "score"))
    return Hit(_record(Chunk, chunk, at), score)


def _inside(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _check(right: bool, wanted: str, value: Any, at: str) -> None:
    if not right:
        raise ValueError(f"{at or 'it'} must be {wanted}, not {value!r:.60}")
