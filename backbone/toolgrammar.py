"""Tools -> the grammar of replies that call them as they are declared.

A call is written as the checkpoints were trained to: `[name(argument="value", …), …]` between two
special tokens, arguments in declared order, required ones present, values typed. Strings may stand
in either quotation mark. Knows no model; what it admits, `calls.py` reads back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from backbone.chat import CALL_END, CALL_START
from backbone.errors import GrammarError
from backbone.grammar import Grammar, json_rule
from backbone.schema import ANNOTATIONS, Schema, as_schema
from backbone.tools import Tool, ToolChoice, chosen

MOST_CALLS = 64  # in one block

# Python and JSON read these alike: no `\/`, and `\u` only where a character may not stand itself.
_ESCAPE = r"\\(?:[\\nrtbf]|u00(?:0[0-9a-f]|1[0-9a-f]|7f))"
_TERMINALS = rf"""
STRING: /"(?:[^"\\\x00-\x1f\x7f]|\\"|{_ESCAPE})*"/
QUOTED: /'(?:[^'\\\x00-\x1f\x7f]|\\'|{_ESCAPE})*'/
TEXT: /(.|\n)+/
"""
_OTHER = {"type": ["number", "array", "object"]}


def tools_grammar(
    tools: Sequence[Tool],
    *,
    choice: ToolChoice = "auto",
    parallel: bool = True,
    schema: Schema | None = None,
    free: Sequence[str] = (),
) -> Grammar:
    """Replies under a tool choice: text, text around one block of calls, or only the block.

    With `parallel` the block may hold several calls. With a `schema` the text is JSON under it, and
    stands instead of calls. `free` are special tokens that may stand in the text.
    """
    callable_ = chosen(tools, choice)
    text = "text" if schema is None else json_rule(as_schema(schema))
    if not callable_:
        start = text
    elif choice != "auto":
        start = "calls"
    else:
        start = "text (calls text)?" if schema is None else f"calls | {text}"
    marks = f" (({' | '.join(free)}) TEXT?)*" if free else ""
    rules = [f"start: {start}", f"text: TEXT?{marks}"]
    if callable_:
        more = f' (", " call)~0..{MOST_CALLS - 1}' if parallel else ""
        rules.append(f'calls: {CALL_START} "[" call{more} "]" {CALL_END}')
        rules.append("call: " + " | ".join(f"call_{n}" for n in range(len(callable_))))
    for number, tool in enumerate(callable_):
        rules += _call_rules(tool, f"{number}")
    return Grammar("\n".join(rules) + _TERMINALS)


def _call_rules(tool: Tool, number: str) -> list[str]:
    """`call_N` and the rules of its arguments.

    `first_N_I` is the arguments from the I-th on when none is written yet, `more_N_I` after some.
    """
    unknown = tool.parameters.keys() - ANNOTATIONS
    unknown -= {"type", "properties", "required", "additionalProperties", "strict"}
    if unknown:
        raise GrammarError(
            f"tool {tool.name}: the grammar of a call cannot keep to {sorted(unknown)[0]!r} of its "
            "parameters; say it in the schema of an argument"
        )
    names = list(tool.arguments)
    if not names:
        return [f"call_{number}: {_literal(tool.name + '()')}"]
    rules = [f'call_{number}: {_literal(tool.name + "(")} first_{number}_0 ")"']
    for at, name in enumerate(names):
        last = at == len(names) - 1
        written = f"{_literal(name + '=')} value_{number}_{at}"
        after = "" if last else f" more_{number}_{at + 1}"
        comma = f'", " {written}'
        if name in tool.required:
            first, more = written + after, comma + after
        else:
            skipped = '""' if last else f"first_{number}_{at + 1}"
            first, more = f"{written}{after} | {skipped}", f"({comma})?{after}"
        rules += [f"first_{number}_{at}: {first}", f"more_{number}_{at}: {more}"]
        rules.append(f"value_{number}_{at}: " + _value(tool, name))
    return rules


def _value(tool: Tool, name: str) -> str:
    """The right side of the rule for an argument's value."""
    shared = {
        key: tool.parameters[key] for key in ("$defs", "definitions") if key in tool.parameters
    }
    schema = tool.arguments[name]
    _check_references(schema, f"tool {tool.name}, argument {name}")
    return " | ".join(dict.fromkeys(_choices(schema, shared)))


def _choices(schema: Any, shared: dict[str, Any]) -> list[str]:
    """The ways to write a value, each as part of a Lark rule."""
    if schema is True or (isinstance(schema, Mapping) and not schema.keys() - ANNOTATIONS):
        return [*_plain("string"), *_plain("boolean"), *_plain("null"), json_rule(_OTHER)]
    if not isinstance(schema, Mapping):
        raise GrammarError(f"{schema!r} is no JSON schema that a value could be given for")
    keys = schema.keys() - ANNOTATIONS
    if keys == {"anyOf"}:
        return [choice for part in schema["anyOf"] for choice in _choices(part, shared)]
    if keys <= {"enum", "type"} and "enum" in keys and _fits(schema):
        return [choice for option in schema["enum"] for choice in _written(option)]
    if keys == {"const"}:
        return _written(schema["const"])
    if keys == {"type"} and isinstance(schema["type"], list):
        return [c for kind in schema["type"] for c in _choices({"type": kind}, shared)]
    if keys == {"type"} and schema["type"] in ("string", "boolean", "null"):
        return _plain(schema["type"])
    return [json_rule({**shared, **schema})]


def _plain(kind: str) -> list[str]:
    """A type without limits, as Python and as JSON write it where both are usual."""
    return {
        "string": ["STRING", "QUOTED"],
        "boolean": ['"True"', '"False"'],
        "null": ['"None"', '"null"'],
    }[kind]


def _fits(schema: Mapping[str, Any]) -> bool:
    """Whether an enum's type, if it has one, only repeats that all are strings."""
    options = schema["enum"]
    repeats = all(isinstance(option, str) for option in options) and schema.get("type") == "string"
    return bool(options) and ("type" not in schema or repeats)


def _written(value: Any) -> list[str]:
    """One certain value; a string in either quotation mark."""
    if isinstance(value, str):
        double = json.dumps(value, ensure_ascii=False)
        single = "'" + double[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
        return [_literal(double), _literal(single)]
    if value is None or isinstance(value, bool):
        return [_literal(str(value))]
    return [json_rule({"const": value})]


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _check_references(schema: Any, where: str) -> None:
    """Refuse a `$ref` to what does not travel with the argument."""
    if isinstance(schema, Mapping):
        reference = schema.get("$ref", "#/$defs/")
        if isinstance(reference, str) and not reference.startswith(("#/$defs/", "#/definitions/")):
            raise GrammarError(f"{where}: {reference!r} must point into #/$defs")
        for inner in schema.values():
            _check_references(inner, where)
    elif isinstance(schema, list):
        for inner in schema:
            _check_references(inner, where)
