"""What a request to `/v1/responses` may hold, and the conversation that it means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from backbone.request import Message, ToolCall
from rag.server.formats import JsonObject, PlainText, Regex, Schema
from rag.server.messages import arguments_of
from rag.server.wire import Body, Harmless, Ignored, Sampled


class InputText(Body):
    """A part of what was said."""

    type: Literal["input_text", "output_text", "text"]
    text: str
    annotations: Ignored = None
    logprobs: Ignored = None


Text = str | list[InputText]


class InputMessage(Body):
    """A message; one of an earlier reply may come back as it was sent."""

    type: Literal["message"] = "message"
    role: Literal["user", "system", "developer", "assistant"]
    content: Text
    id: Ignored = None
    status: Ignored = None
    phase: Ignored = None


class FunctionCall(Body):
    """A call of an earlier reply."""

    type: Literal["function_call"]
    call_id: str = Field(max_length=256)
    name: str = Field(min_length=1, max_length=128)
    arguments: str
    id: Ignored = None
    status: Ignored = None


class FunctionOutput(Body):
    """What a function gave."""

    type: Literal["function_call_output"]
    call_id: str = Field(max_length=256)
    output: Text
    id: Ignored = None
    status: Ignored = None


def _kind(item: Any) -> str:
    given = item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", "")
    return str(given)


Item = Annotated[
    Annotated[InputMessage, Tag("message")]
    | Annotated[FunctionCall, Tag("function_call")]
    | Annotated[FunctionOutput, Tag("function_call_output")],
    Discriminator(_kind),
]


class FlatSchema(Body):
    """A JSON schema with its name."""

    type: Literal["json_schema"]
    schema_: Schema = Field(alias="schema")
    name: str | None = Field(None, max_length=256)
    description: str | None = None
    strict: bool | None = Field(None, description="The schema is always kept to.")


class TextOptions(Body):
    """What the text is to be."""

    format: (
        Annotated[
            PlainText | JsonObject | FlatSchema | Regex,
            Field(discriminator="type"),
        ]
        | None
    ) = None
    verbosity: Ignored = None


class FlatTool(Body):
    """A function that may be called; `parameters` is a JSON schema of type object."""

    type: Literal["function"]
    name: str = Field(min_length=1, max_length=128)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = Field(None, description="The schema is always kept to.")


class FlatChoice(Body):
    """The tool that must be called."""

    type: Literal["function"]
    name: str = Field(min_length=1, max_length=128)


class Obfuscation(Body):
    """What a stream brings besides."""

    include_obfuscation: Ignored = None


LOGPROBS = "message.output_text.logprobs"


class ResponseRequest(Sampled, Harmless):
    """A conversation, or what is new in one that is stored here."""

    model: str = Field(max_length=512)
    input: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Item], Field(min_length=1, max_length=100_000)]
    )
    instructions: str | None = None
    previous_response_id: str | None = Field(None, max_length=256)
    max_output_tokens: int | None = Field(None, ge=1, lt=2**31)
    tools: Annotated[list[FlatTool], Field(max_length=1000)] | None = None
    tool_choice: Literal["none", "auto", "required"] | FlatChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    include: list[Literal["message.output_text.logprobs", "reasoning.encrypted_content"]] | None = (
        None
    )
    stream: bool | None = None
    stream_options: Obfuscation | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None
    truncation: Literal["disabled"] | None = None
    background: Literal[False] | None = None
    reasoning: Ignored = None
    max_tool_calls: Ignored = None

    @property
    def alternatives(self) -> int | None:
        """How many alternatives of each token are wanted; None is no log-probabilities."""
        if self.top_logprobs is None and LOGPROBS not in (self.include or ()):
            return None
        return self.top_logprobs or 0


class ResponseUsage(BaseModel):
    """Tokens read and written."""

    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int


class ResponseReply(BaseModel):
    """A response."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete", "in_progress", "failed"]
    model: str
    output: list[dict[str, Any]]
    usage: ResponseUsage | None


def new_messages(given: str | Sequence[Item]) -> list[Message]:
    """The input as messages; neighbouring calls of one reply are one. Raises ValueError."""
    if isinstance(given, str):
        return [Message("user", given)]
    messages: list[Message] = []
    for item in given:
        if isinstance(item, FunctionCall):
            _add_call(messages, item)
        else:
            messages.append(_message(item))
    return messages


def _message(item: InputMessage | FunctionOutput) -> Message:
    if isinstance(item, FunctionOutput):
        return Message("tool", _text(item.output), call_id=item.call_id)
    return Message("system" if item.role == "developer" else item.role, _text(item.content))


def _add_call(messages: list[Message], item: FunctionCall) -> None:
    """Put a call on the assistant's turn that it belongs to, or begin one."""
    call = ToolCall(item.name, arguments_of(item.arguments, item.name), item.call_id)
    if messages and messages[-1].role == "assistant":
        last = messages.pop()
        messages.append(Message("assistant", last.content, tool_calls=(*last.tool_calls, call)))
    else:
        messages.append(Message("assistant", "", tool_calls=(call,)))


def _text(content: Text) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)
