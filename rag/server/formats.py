"""`response_format` in every spelling that is in use -> a JSON schema or a grammar."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from backbone.grammar import Grammar
from rag.server.wire import Body

Schema = dict[str, Any]
ANY_OBJECT: Schema = {"type": "object"}


class PlainText(Body):
    """No format."""

    type: Literal["text"]


class JsonObject(Body):
    """Some JSON object; of a schema, in Together's older spelling."""

    type: Literal["json_object"]
    schema_: Schema | None = Field(None, alias="schema")


class NamedSchema(Body):
    """A JSON schema with its name."""

    name: str | None = Field(None, max_length=256)
    description: str | None = None
    schema_: Schema = Field(alias="schema")
    strict: bool | None = Field(None, description="The schema is always kept to.")


class JsonSchema(Body):
    """JSON of a schema: `json_schema.schema`, or `schema` in Together's older spelling."""

    type: Literal["json_schema"]
    json_schema: NamedSchema | None = None
    schema_: Schema | None = Field(None, alias="schema")

    @model_validator(mode="after")
    def _one_schema(self) -> JsonSchema:
        if (self.json_schema is None) == (self.schema_ is None):
            raise ValueError("give the schema once, as json_schema.schema")
        return self


class Regex(Body):
    """Text that a regular expression matches as a whole."""

    type: Literal["regex"]
    pattern: str = Field(min_length=1, max_length=100_000)


ResponseFormat = Annotated[PlainText | JsonObject | JsonSchema | Regex, Field(discriminator="type")]


def schema_of(format_: ResponseFormat | None) -> Schema | None:
    """The JSON schema that a reply must keep to, if any."""
    match format_:
        case JsonObject():
            return format_.schema_ or ANY_OBJECT
        case JsonSchema():
            return format_.json_schema.schema_ if format_.json_schema else format_.schema_
        case _:
            return None


def grammar_of(format_: ResponseFormat | None) -> Grammar | None:
    """The grammar that a reply must keep to, if it is none of a schema."""
    return Grammar.regex(format_.pattern) if isinstance(format_, Regex) else None
