"""A JSON schema -> the fields to be filled, each with the question that asks for its value.

For a generator that only quotes: what cannot be filled from a quote is refused here, before
anything runs. Knows no passages and no model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backbone.coerce import resolve
from backbone.errors import CallError
from backbone.schema import ANNOTATIONS
from rag import values
from rag.errors import Unsupported

Kind = Literal["string", "integer", "number", "boolean", "date", "enum", "const", "null"]

_LIMITS = {
    "string": {"minLength", "maxLength", "pattern"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "boolean": set[str](),
    "null": set[str](),
}
_LIMITS["number"] = _LIMITS["integer"]
_LIST_LIMITS = {"minItems", "maxItems", "items"}


@dataclass(frozen=True, slots=True)
class Field:
    """A value to be asked for. `path` names it in the object, such as `lease.rent`.

    `many` is for a list of such values. `limits` are the keywords that a value must keep.
    """

    path: str
    name: str
    question: str
    kind: Kind
    required: bool
    nullable: bool
    limits: Mapping[str, Any]
    options: tuple[Any, ...] = ()
    many: bool = False
    many_limits: Mapping[str, Any] | None = None

    def read(self, quote: str) -> Any:
        """The value that a quote gives, or None."""
        found = self._found(quote)
        if not self.many:
            one = values.only(found, quote, self.question)
            return one.value if one is not None and self._fits(one.value) else None
        listed = list(dict.fromkeys(f.value for f in found))
        limits = self.many_limits or {}
        fits = limits.get("minItems", 0) <= len(listed) <= limits.get("maxItems", len(listed))
        return listed if listed and fits and all(map(self._fits, listed)) else None

    def _found(self, quote: str) -> list[values.Found]:
        match self.kind:
            case "integer":
                return [n for n in values.numbers(quote, whole=True) if isinstance(n.value, int)]
            case "number":
                return values.numbers(quote)
            case "date":
                return values.dates(quote)
            case "boolean":
                return values.yes_or_no(quote)
            case "enum":
                return values.choices(quote, self.options)
            case "string" if self.many:
                return values.items(quote)
        return [values.Found(" ".join(quote.split()), 0, len(quote))]

    def _fits(self, value: Any) -> bool:
        checks: dict[str, Callable[[Any], bool]] = {
            "minimum": lambda limit: value >= limit,
            "maximum": lambda limit: value <= limit,
            "exclusiveMinimum": lambda limit: value > limit,
            "exclusiveMaximum": lambda limit: value < limit,
            "multipleOf": lambda limit: limit > 0 and (value / limit).is_integer(),
            "minLength": lambda limit: len(value) >= limit,
            "maxLength": lambda limit: len(value) <= limit,
            "pattern": lambda limit: re.search(limit, value) is not None,
        }
        return all(check(self.limits[key]) for key, check in checks.items() if key in self.limits)


@dataclass(frozen=True, slots=True)
class Record:
    """An object to be filled, field by field."""

    path: str
    name: str
    required: bool
    nullable: bool
    fields: tuple[Field | Record, ...]


def plan(schema: Mapping[str, Any], question: str) -> Field | Record:
    """What there is to ask for. Raises Unsupported, naming the field that no quote can fill."""
    return _Planner(schema).part(schema, path="", about=question, required=True)


class _Planner:
    """Walks one schema document."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def part(
        self,
        schema: Any,
        *,
        path: str,
        about: str,
        required: bool,
        within: tuple[str, ...] = (),
    ) -> Field | Record:
        """The field or record of a schema; `about` is what is asked when it does not say itself."""
        if not isinstance(schema, Mapping):
            raise _refusal(path, f"the schema {schema!r}")
        schema, within = self._resolved(schema, path, within)
        schema, nullable = self._without_null(schema, path, within)
        schema, within = self._resolved(schema, path, within)
        about = str(schema.get("description") or schema.get("title") or about)
        name = path.rpartition(".")[2]
        if "properties" in schema or schema.get("type") == "object":
            _check_keys(schema, {"type", "properties", "required", "additionalProperties"}, path)
            fields = [
                self.part(
                    inner,
                    path=f"{path}.{key}" if path else key,
                    about=f"{about}: {_spoken(key)}" if path else _spoken(key),
                    required=key in schema.get("required", ()),
                    within=within,
                )
                for key, inner in dict(schema.get("properties", {})).items()
            ]
            if not fields:
                raise _refusal(path, "an object without properties")
            return Record(path, name, required, nullable, tuple(fields))
        many_limits = None
        if schema.get("type") == "array":
            _check_keys(schema, _LIST_LIMITS | {"type"}, path)
            many_limits = {key: schema[key] for key in schema.keys() & {"minItems", "maxItems"}}
            schema, within = self._resolved(schema.get("items", {"type": "string"}), path, within)
            if "properties" in schema or schema.get("type") in ("array", "object"):
                raise _refusal(path, "a list of objects or lists")
        kind, options = _kind(schema, path)
        return Field(
            path=path,
            name=name,
            question=about,
            kind=kind,
            required=required,
            nullable=nullable or kind == "null",
            limits=schema,
            options=options,
            many=many_limits is not None,
            many_limits=many_limits,
        )

    def _resolved(
        self, schema: Mapping[str, Any], path: str, within: tuple[str, ...]
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Follow `$ref` and an `allOf` of one; what stands beside them counts more."""
        while isinstance(schema, Mapping):
            if "$ref" in schema:
                reference = str(schema["$ref"])
                if reference in within:
                    raise _refusal(path, "an object that holds itself")
                within = (*within, reference)
                try:
                    target = resolve(reference, self._root)
                except CallError as error:
                    raise _refusal(path, str(error)) from None
                schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
            elif isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1:
                rest = {k: v for k, v in schema.items() if k != "allOf"}
                schema = {**schema["allOf"][0], **rest}
            else:
                return schema, within
        raise _refusal(path, f"the schema {schema!r}")

    def _without_null(
        self, schema: Mapping[str, Any], path: str, within: tuple[str, ...]
    ) -> tuple[Mapping[str, Any], bool]:
        """The schema without the null that it allows, and whether it does."""
        for key in ("anyOf", "oneOf"):
            if key in schema:
                others = [part for part in schema[key] if part != {"type": "null"}]
                if len(others) != 1:
                    raise _refusal(path, "a choice between several schemas")
                rest = {k: v for k, v in schema.items() if k != key}
                return {**others[0], **rest}, len(others) < len(schema[key])
        if isinstance(kinds := schema.get("type"), list):
            others = [kind for kind in kinds if kind != "null"] or ["null"]
            if len(others) > 1:
                raise _refusal(path, "a choice between several types")
            return {**schema, "type": others[0]}, "null" in kinds
        options = schema.get("enum")
        return schema, isinstance(options, list) and any(option is None for option in options)


def _kind(schema: Mapping[str, Any], path: str) -> tuple[Kind, tuple[Any, ...]]:
    if "const" in schema:
        return "const", (schema["const"],)
    if "enum" in schema:
        _check_keys(schema, {"enum", "type"}, path)
        return "enum", tuple(option for option in schema["enum"] if option is not None)
    kind = schema.get("type", "string")
    if kind == "string" and "format" in schema:
        if schema["format"] != "date":
            raise _refusal(path, f"a string of the format {schema['format']!r}")
        _check_keys(schema, {"type", "format"}, path)
        return "date", ()
    if not isinstance(kind, str) or kind not in _LIMITS:
        raise _refusal(path, f"the type {kind!r}")
    _check_keys(schema, {"type"} | _LIMITS[kind], path)
    return kind, ()  # type: ignore[return-value]  # it is one of the keys


def _check_keys(schema: Mapping[str, Any], known: set[str], path: str) -> None:
    unknown = sorted(schema.keys() - ANNOTATIONS - known)
    if unknown:
        raise _refusal(path, f"the keyword {unknown[0]!r}")


def _refusal(path: str, what: str) -> Unsupported:
    return Unsupported(
        f"{path or 'the schema'}: {what} cannot be filled by a generator that only quotes; "
        "simplify the schema, or take a model that can chat"
    )


def _spoken(key: str) -> str:
    """A property's name as words: `leaseStart` and `lease_start` are `lease start`."""
    return " ".join(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key).replace("_", " ").split()).lower()
