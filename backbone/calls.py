"""The text of tool calls <-> ToolCalls: `[get_weather(city="Paris", days=2), …]`.

What stands between a model's call tokens is read as Python first; then by a scanner that knows
quotes and brackets, for what Python refuses (`from="x"`, stray quotation marks); then as JSON.
Every call is checked against its tool. Knows no tokens.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backbone.coerce import coerce
from backbone.errors import CallError
from backbone.request import ToolCall
from backbone.tools import Tool, by_name

_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_PYTHON_ESCAPES = frozenset("\\'\"abfnrtvxuUN01234567\n")
_CLOSING = re.compile(r"\s*(?:[,)\]}:]|$)")  # what follows a string's last quotation mark
_SHOWN = 200  # characters of a faulty call in an error


@dataclass(frozen=True, slots=True)
class _Call:
    """A call as it was written, before anything is known of its tool."""

    name: str
    named: dict[str, Any] = field(default_factory=dict)
    placed: tuple[Any, ...] = ()


class _Unreadable(Exception):
    """This way of reading does not fit the text."""


def write_calls(calls: Sequence[ToolCall]) -> str:
    """Calls as the 24B writes them, with every string escaped."""
    return f"[{', '.join(map(write_call, calls))}]"


def write_call(call: ToolCall) -> str:
    """One call: `name(argument=value, …)`."""
    arguments = (f"{name}={_write(value)}" for name, value in call.arguments.items())
    return f"{call.name}({', '.join(arguments)})"


def _write(value: Any) -> str:
    return str(value) if value is None or isinstance(value, bool) else to_json(value)


def to_json(value: Any) -> str:
    """JSON on one line, letters as they are: how templates write nested values."""
    return json.dumps(value, ensure_ascii=False)


def parse_calls(text: str, tools: Sequence[Tool]) -> tuple[ToolCall, ...]:
    """The calls in a call block, each checked and coerced by its tool's schema.

    Raises CallError for text that is no call, unknown tools and arguments, and unfit values.
    """
    known = by_name(tools)
    first: CallError | None = None
    for read in (_read_python, _read_scanned, _read_json):
        try:
            return tuple(_checked(call, known) for call in read(text.strip()))
        except _Unreadable:
            continue
        except CallError as error:
            first = first or error
    raise first or CallError(f"this is no tool call: {_short(text)}")


def parse_bare(text: str, tools: Sequence[Tool]) -> tuple[ToolCall, ...]:
    """The calls that a whole message is, though no call tokens stand around it; else none.

    It is one when it calls registered tools, as JSON or in brackets, and says nothing else.
    """
    if not looks_bare(text):
        return ()
    try:
        return parse_calls(text, tools)
    except CallError:
        return ()


def looks_bare(text: str) -> bool:
    """Whether a message may be a bare call, by how it begins."""
    return text.lstrip()[:1] in ("", "[", "{")


def _checked(call: _Call, known: Mapping[str, Tool]) -> ToolCall:
    tool = known.get(call.name)
    if tool is None:
        offered = ", ".join(known) or "none"
        raise CallError(f"there is no tool {_short(call.name)!r}; there is: {offered}")
    given = dict(zip(tool.arguments, call.placed, strict=False))
    if len(call.placed) > len(tool.arguments) or given.keys() & call.named.keys():
        raise CallError(f"{tool.name} was called with too many arguments")
    return ToolCall(tool.name, check_arguments(tool, given | call.named))


def check_arguments(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as the tool's schema wants them; CallError, naming the one that is unfit."""
    schema = {"additionalProperties": False, **tool.parameters, "type": "object"}
    checked: dict[str, Any] = coerce(dict(arguments), schema, where=tool.name)
    return checked


# Python


def _read_python(text: str) -> list[_Call]:
    node = _python(text)
    nodes = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
    if not nodes:
        raise _Unreadable
    return [_call_of(node) for node in nodes]


def _python(text: str) -> ast.expr:
    if any(escape not in _PYTHON_ESCAPES for escape in re.findall(r"\\(.)", text, re.DOTALL)):
        raise _Unreadable  # Python would warn and keep the backslash
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _Unreadable from None


def _call_of(node: ast.expr) -> _Call:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        raise _Unreadable
    named = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise _Unreadable
        named[keyword.arg] = _literal(keyword.value)
    return _Call(ast.unparse(node.func), named, tuple(map(_literal, node.args)))


def _literal(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=str(text)):
            return _whole(text)
        case ast.Constant(value=float(number)):
            return _finite(number)
        case ast.Constant(value=bool() | int() | None as value):
            return value
        case ast.Name(id=word) if word in _WORDS:
            return _WORDS[word]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -_finite(number) if isinstance(number, float) else -number
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_literal(item) for item in items]
        case ast.Dict(keys=keys, values=values) if None not in keys:
            pairs = zip(keys, values, strict=True)
            return {_key(key): _literal(value) for key, value in pairs if key is not None}
    raise _Unreadable


def _key(node: ast.expr) -> str:
    key = _literal(node)
    if not isinstance(key, str):
        raise _Unreadable
    return key


def _whole(text: str) -> str:
    r"""A text with `\ud83d\ude00` as the one character that JSON means by it."""
    if not any("\ud800" <= c <= "\udfff" for c in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# What Python refuses


def _read_scanned(text: str) -> list[_Call]:
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    pieces = list(_split(inner))
    if not pieces:
        raise _Unreadable
    return [_scan_call(piece) for piece in pieces]


def _scan_call(text: str) -> _Call:
    name, bracket, rest = text.partition("(")
    if not bracket or not rest.endswith(")") or re.search(r"[\s\"'{}=]", name.strip()):
        raise _Unreadable
    named: dict[str, Any] = {}
    placed = []
    for piece in _split(rest[:-1]):
        argument = re.match(r"([^\"'=()\[\]{}]+?)\s*=\s*(.*)", piece, re.DOTALL)
        if argument is None:
            placed.append(_scan_value(piece))
        elif argument[1] in named:
            raise CallError(f"{name} was given {_short(argument[1])!r} twice")
        else:
            named[argument[1]] = _scan_value(argument[2])
    return _Call(name.strip(), named, tuple(placed))


def _split(text: str) -> Iterator[str]:
    """The parts between the commas that stand outside of quotation marks and brackets."""
    start, depth, at = 0, 0, 0
    while at < len(text):
        character = text[at]
        if character in "\"'":
            at = _end_of_string(text, at)
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            yield text[start:at].strip()
            start = at + 1
        at += 1
    if depth:
        raise _Unreadable
    if text[start:].strip():
        yield text[start:].strip()


def _end_of_string(text: str, start: int) -> int:
    """Where the string that begins at `start` ends: a stray quotation mark does not end it."""
    at = start + 1
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == text[start] and _CLOSING.match(text, at + 1):
            return at
        at += 1
    raise _Unreadable


def _scan_value(text: str) -> Any:
    """JSON, else Python, else a string by its quotation marks, else the text as it is."""
    for read in (_load_json, lambda t: _literal(_python(t))):
        try:
            return read(text)
        except _Unreadable:
            continue
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        return _unescape(text[1:-1])
    return text


def _unescape(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        return _ESCAPES.get(match[2], match[2])

    return _whole(re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", plain, text, flags=re.DOTALL))


# JSON


def _read_json(text: str) -> list[_Call]:
    value = _load_json(text)
    values = value if isinstance(value, list) else [value]
    if not values:
        raise _Unreadable
    return [_json_call(value) for value in values]


def _json_call(value: Any) -> _Call:
    inner = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        raise _Unreadable
    arguments = inner.get("arguments", inner.get("parameters", {}))
    if isinstance(arguments, str):
        arguments = _load_json(arguments)
    if not isinstance(arguments, dict):
        raise _Unreadable
    return _Call(inner["name"], arguments)


def _load_json(text: str) -> Any:
    try:
        return json.loads(text, strict=False, parse_float=_finite, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _Unreadable from None


def _finite(number: str | float) -> float:
    """1e999 is a number in JSON, and no float: the largest there is stands for it."""
    return max(min(float(number), sys.float_info.max), -sys.float_info.max)


def _no_number(text: str) -> Callable[[], None]:
    raise ValueError(f"{text} is no JSON")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
