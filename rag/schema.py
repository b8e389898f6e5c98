"""An answer as an object under a schema, each value with the quote that it rests on.

A generator that only quotes is asked for one field after another, and each quote is turned into a
value. One that can chat quotes first and then writes the object from its quotes; what of it stands
in none of them is noted as unsupported. Knows no ranking and no tensor.
"""

from __future__ import annotations

import json
from collections import abc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backbone.coerce import coerce
from backbone.errors import CallError
from backbone.grammar import Grammar
from backbone.schema import Schema, as_schema
from rag.answer import Answer, Quote, Reason, Sentence, Usage
from rag.draft import Draft
from rag.errors import SchemaError, Unsupported
from rag.fields import Field, Record, plan
from rag.ground import MAX_QUOTES
from rag.values import numbers

if TYPE_CHECKING:
    from ingest.document import Hit
    from rag.generator import Generator
    from rag.reader import Reading

MOST_QUOTES = 24
OBJECT_TOKENS = 2048  # that an object may take


@dataclass(slots=True)
class _Filling:
    """What was filled in so far, and what is missing."""

    draft: Draft
    ask: Callable[[str], Reading]
    filled: int = 0
    missing: list[str] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    usage: Usage = Usage()  # noqa: RUF009 - frozen


_ABSENT = object()


def fill(
    draft: Draft,
    schema: Schema,
    hits: Sequence[Hit],
    *,
    ask: Callable[[str], Reading],
    model: str,
) -> abc.Generator[Sentence, None, Answer]:
    """Fill a schema from hits by asking for each field; `ask` reads the hits for one question.

    No support gives null, or leaves a field out. Raises SchemaError when the schema allows neither
    and other fields are supported; when none is, the answer says so and has no data.
    """
    filling = _Filling(draft, ask)
    data = yield from _fill(filling, plan(as_schema(schema), draft.question))
    usage = filling.usage
    if not filling.filled:
        reason = filling.reasons[0] if filling.reasons else "not_in_passages"
        return draft.finish(hits=hits, model=model, usage=usage, reason=reason)
    if filling.missing:
        raise SchemaError(
            f"the passages do not say {', '.join(filling.missing)}, which the schema requires: let"
            " it be null, or not required"
        )
    return draft.finish(hits=hits, model=model, usage=usage, data=checked(data, schema))


def _fill(filling: _Filling, part: Field | Record) -> abc.Generator[Sentence, None, Any]:
    """The value of a part, or _ABSENT."""
    if isinstance(part, Field):
        return (yield from _fill_field(filling, part))
    before, unsaid = filling.filled, list(filling.missing)
    values = {}
    for inner in part.fields:
        value = yield from _fill(filling, inner)
        if value is not _ABSENT:
            values[inner.name] = value
    if filling.filled > before or (part.required and not part.nullable):
        return values
    filling.missing = unsaid  # the object is not there, so nothing in it is missing
    return None if part.nullable else _ABSENT


def _fill_field(filling: _Filling, part: Field) -> abc.Generator[Sentence, None, Any]:
    if part.kind == "const":
        return part.options[0]
    if part.kind != "null":
        reading = filling.ask(part.question)
        filling.usage += reading.usage
        value = part.read(reading.text) if reading.answered else None
        if value is not None:
            said = f"{part.path}: {_shown(value)}" if part.path else _shown(value)
            sentence = filling.draft.say(said, reading.quotes)
            if sentence is not None:
                filling.filled += 1
                yield sentence
                return value
        filling.reasons += [reading.reason] if reading.reason else []
    if part.nullable:
        return None
    if part.required:
        filling.missing.append(part.path or part.question)
    return _ABSENT


def write(
    draft: Draft, schema: Schema, quotes: Sequence[Quote], generator: Generator
) -> tuple[Any, Usage]:
    """Let a generator that can chat write the object from the quotes.

    What it writes that stands in no quote is left out of the text and noted as unsupported.
    """
    from rag.prompt import filling_messages

    texts = [" ".join(quote.text.split()) for quote in quotes]
    messages = filling_messages(draft.question, texts, as_schema(schema))
    stream = generator.submit(messages, schema=schema, max_tokens=OBJECT_TOKENS)
    completion = stream.result()
    try:
        data = json.loads(completion.text)
    except ValueError:
        raise SchemaError(
            f"{generator.name} wrote no complete object ({completion.finish_reason}): a smaller"
            " schema, or a larger model, may help"
        ) from None
    data = checked(data, schema)
    for path, value in _leaves(data):
        if not supported(value, texts):
            draft.leave_out(f"{path}: {_shown(value)}" if path else _shown(value))
    return data, Usage(completion.prompt_tokens, completion.completion_tokens)


def wanted(question: str, schema: Schema) -> tuple[str, int]:
    """The question with what the schema asks for, and how many quotes that may take."""
    names = [
        f"{name}: {inner['description']}" if "description" in inner else name
        for name, inner in dict(as_schema(schema).get("properties", {})).items()
        if isinstance(inner, dict)
    ]
    asked = f"{question} (wanted: {'; '.join(names)})" if names else question
    return asked, min(MAX_QUOTES + len(names), MOST_QUOTES)


def checked(data: Any, schema: Schema) -> Any:
    """The data, if it is what the schema says; else SchemaError."""
    try:
        data = coerce(data, as_schema(schema), where="data")
    except CallError as error:
        raise SchemaError(f"the object does not fit its schema: {error}") from None
    if isinstance(schema, type) and hasattr(schema, "model_validate"):
        try:
            schema.model_validate(data)
        except ValueError as error:  # pydantic's own is one
            raise SchemaError(f"the object is refused by {schema.__name__}: {error}") from None
    return data


def supported(value: Any, texts: Sequence[str]) -> bool:
    """Whether a value stands in one of the texts. Yes, no and null stand nowhere and count."""
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, str):
        words = " ".join(value.split()).casefold()
        return any(words in text.casefold() for text in texts)
    return any(found.value == value for text in texts for found in numbers(text))


def read_schema(path: Path) -> dict[str, Any]:
    """The JSON schema in a file. Raises OSError, or SchemaError for what is none."""
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SchemaError(f"{path} is not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise SchemaError(f'{path} holds no JSON schema: that is an object, with "properties"')
    return schema


def check(schema: Schema, question: str, generator: Generator) -> None:
    """Refuse, before anything runs, a schema that this generator cannot fill."""
    described = as_schema(schema)
    if "chat" not in generator.abilities:
        plan(described, question)
    elif "schema" not in generator.abilities:
        raise Unsupported(f"{generator.name} cannot keep to a schema; leave schema= out")
    elif "quote" in generator.abilities:  # it is held to grammars, so this must be one
        Grammar.json_schema(described).check()


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{at}]")
    else:
        yield path, value


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
