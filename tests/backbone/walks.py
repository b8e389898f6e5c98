"""Random schemas and tools in the manner of public ones, and random replies under a grammar."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from backbone.grammar import Matcher
from backbone.tokenizer import Tokenizer

NASTY = (
    *"\"'\\()[]{},=:\n\x01é東😀\u2028",
    *("<|im_end|>", '")]', "', b='", "a b", "True"),
)
STRANGE: tuple[dict[str, Any], ...] = (
    *({"not": {}}, {"uniqueItems": True}, {"if": {}, "then": {}}, {"minProperties": 2}),
    *({"type": "wrong"}, {"dependentRequired": {"id": ["in"]}}, {"pattern": "(?=x)"}),
    *({"propertyNames": {"maxLength": 2}}, {"$ref": "#/nowhere"}, {"multipleOf": 0}),
    *({"format": "made-up", "type": "string"}, {"contains": {"type": "integer"}}),
    *({"patternProperties": {"^x": {"type": "integer"}}}, {"maxLength": -1}),
)
STRINGS: tuple[dict[str, Any], ...] = (
    *({}, {}, {"minLength": 2}, {"maxLength": 5}, {"pattern": "^[a-z]{2,4}$"}),
    # no `date`: llguidance has a 29th of February in every year
    *({"format": "uuid"}, {"format": "email"}, {"format": "time"}),
)
NUMBERS: tuple[dict[str, Any], ...] = (
    *({}, {}, {"minimum": -3}, {"minimum": 0, "maximum": 50}, {"exclusiveMaximum": 9}),
    {"multipleOf": 3},
)
CLOSING = ('"', "'", ")", "]", "}")


def walk(
    matcher: Matcher, tokenizer: Tokenizer, random: Random, *, soft: int = 40, hard: int = 1500
) -> str | None:
    """What a generator that chooses at random says, with a taste for trouble.

    After `soft` tokens it takes what closes something wherever it may; None if it comes to no end
    within `hard` tokens.
    """
    end = tokenizer.added["<|im_end|>"]
    closing = {i for text in CLOSING for i in tokenizer.encode(text)}
    closing |= {tokenizer.added["<|tool_call_end|>"], end}
    trouble = {i for text in NASTY for i in tokenizer.encode(text)}
    said = b""
    for step in range(hard):
        if matcher.finished:
            return said.decode()
        allowed = np.flatnonzero(matcher.allowed()).tolist()
        liked = [i for i in allowed if i in (closing if step > soft else trouble)]
        if liked and (step > soft or random.random() < 0.5):
            allowed = liked
        token = random.choice(allowed)
        if token == end:
            return said.decode()
        matcher.accept(token)
        said += (tokenizer.special(token) or "").encode() or tokenizer.bytes_of(token)
    return None


def text(random: Random) -> str:
    """A short string of trouble."""
    return "".join(random.choice((*NASTY, "word", "x")) for _ in range(random.randint(0, 4)))


def scalar(random: Random) -> Any:
    return random.choice([text(random), random.randint(-9, 9), 1.5, True, False, None])


def schema(random: Random, depth: int = 2) -> dict[str, Any]:
    """A schema as people write them: mostly plain, sometimes with limits, refs and unions."""
    if depth > 0 and random.random() < 0.35:
        return _compound(random, depth - 1)
    if random.random() < 0.1:
        return {**schema(random, depth), "title": text(random), "description": text(random)}
    kind = random.choice(["string", "integer", "number", "boolean", "null", "enum", "any"])
    if kind in ("string", "integer", "number"):
        limits = STRINGS if kind == "string" else NUMBERS
        nullable = random.random() < 0.2
        return {"type": [kind, "null"] if nullable else kind, **random.choice(limits)}
    if kind == "enum":
        some = [scalar(random) for _ in range(random.randint(1, 4))]
        literals = {"type": "string", "enum": [text(random) for _ in range(3)]}
        return random.choice([{"enum": some}, {"const": some[0]}, literals])
    return {} if kind == "any" else {"type": kind}


def _compound(random: Random, depth: int) -> dict[str, Any]:
    match random.choice(["array", "tuple", "object", "object", "map", "union", "one", "all"]):
        case "array":
            limits = [{}, {"minItems": 1}, {"maxItems": 2}, {"minItems": 2, "maxItems": 3}]
            return {"type": "array", "items": schema(random, depth), **random.choice(limits)}
        case "tuple":
            first = [schema(random, depth), schema(random, depth)]
            return {"type": "array", "prefixItems": first, "items": False, "minItems": 2}
        case "map":
            return {"type": "object", "additionalProperties": schema(random, depth)}
        case "union":
            return {"anyOf": [schema(random, depth), schema(random, depth)]}
        case "one":
            return {"oneOf": [{"type": "string"}, schema(random, depth)]}
        case "all":
            return {"allOf": [record(random, depth), record(random, depth)]}
    return record(random, depth)


def record(random: Random, depth: int) -> dict[str, Any]:
    """An object with named properties, some of them required."""
    names = ["id", "from", "größe", "a b", "$x", 'q"', "in", "list"]
    names = random.sample(names, random.randint(1, 4))
    result: dict[str, Any] = {
        "type": "object",
        "properties": {name: schema(random, depth) for name in names},
        "required": [name for name in names if random.random() < 0.5],
    }
    if random.random() < 0.3:
        result["additionalProperties"] = random.choice([False, True, schema(random, 0)])
    return result


def document(random: Random) -> dict[str, Any]:
    """A whole schema: sometimes with definitions, recursion, or keywords that nobody can keep."""
    root = record(random, 2)
    if random.random() < 0.3:
        inside = {"next": {"$ref": "#/$defs/node"}, "v": schema(random, 0)}
        root["$defs"] = {"node": {"type": "object", "properties": inside}}
        root["properties"]["node"] = {"$ref": "#/$defs/node"}
    if random.random() < 0.2:
        inner = root["properties"]
        inner[random.choice(list(inner))] = random.choice(STRANGE)
        if random.random() < 0.3:
            root |= random.choice(STRANGE)
    return root


def parameters(random: Random) -> dict[str, Any]:
    """The parameters of a tool."""
    names = ["query", "from", "class", "$top", "x-y", "größe", "two words", "l"]
    names = random.sample(names, random.randint(0, 4))
    return {
        "type": "object",
        "properties": {name: schema(random) for name in names},
        "required": [name for name in names if random.random() < 0.5],
    }
