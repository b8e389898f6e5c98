"""The messages and tools of chat completions -> those of the backbone, and tool calls back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import Field

from backbone.request import Message, ToolCall
from backbone.tools import Tool, ToolChoice
from rag.server.body import parse
from rag.server.wire import Body, FunctionName, Ignored


class TextPart(Body):
    """A part of a content."""

    type: Literal["text"]
    text: str


Text = str | list[TextPart]


class SystemMessage(Body):
    """What holds for the whole conversation."""

    role: Literal["system", "developer"]
    content: Text
    name: Ignored = None


class UserMessage(Body):
    """What a person says."""

    role: Literal["user"]
    content: Text
    name: Ignored = None


class CalledFunction(Body):
    """A call: a function's name, and its arguments as JSON text."""

    name: str = Field(min_length=1, max_length=128)
    arguments: str


class Called(Body):
    """A tool call of an earlier reply."""

    id: str = Field(max_length=256)
    type: Literal["function"] = "function"
    function: CalledFunction
    index: Ignored = None


class AssistantMessage(Body):
    """An earlier reply, as it was sent."""

    role: Literal["assistant"]
    content: Text | None = None
    tool_calls: Annotated[list[Called], Field(max_length=1000)] | None = None
    name: Ignored = None
    refusal: Ignored = None
    annotations: Ignored = None
    citations: Ignored = None
    reasoning: Ignored = None
    audio: None = None
    function_call: None = None


class ToolMessage(Body):
    """What a tool gave."""

    role: Literal["tool"]
    content: Text
    tool_call_id: str = Field(max_length=256)
    name: Ignored = None


ChatMessage = Annotated[
    SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")
]


class Function(Body):
    """A function that may be called; `parameters` is a JSON schema of type object."""

    name: str = Field(min_length=1, max_length=128)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = Field(None, description="The schema is always kept to.")


class FunctionTool(Body):
    """A tool."""

    type: Literal["function"]
    function: Function


class NamedFunction(Body):
    """The tool that must be called."""

    type: Literal["function"]
    function: FunctionName


WireToolChoice = Literal["none", "auto", "required"] | NamedFunction


def domain_messages(messages: Sequence[ChatMessage]) -> list[Message]:
    """The conversation as the backbone takes it. Raises ValueError, ApiError."""
    return [_message(message) for message in messages]


def text_of(content: Text | None) -> str:
    """A content in one piece."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.text for part in content)


def domain_tools(tools: Sequence[FunctionTool] | None) -> list[Tool]:
    """The tools as the backbone takes them. Raises ValueError."""
    return [Tool.from_json(tool.function.model_dump(exclude={"strict"})) for tool in tools or ()]


def domain_choice(choice: WireToolChoice | None) -> ToolChoice:
    """The choice as the backbone takes it."""
    if choice is None:
        return "auto"
    return choice if isinstance(choice, str) else choice.function.name


def arguments_of(text: str, name: str) -> Mapping[str, Any]:
    """The arguments of a call, from their JSON text. Raises ValueError, ApiError."""
    arguments = parse(text.encode("utf-8")) if text.strip() else {}
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of the call of {name} are no JSON object")
    return arguments


def identified(calls: Sequence[ToolCall]) -> list[tuple[str, str, str]]:
    """Tool calls as (id, name, arguments as JSON text); those without an id get one."""
    return [
        (
            call.id or f"call_{uuid4().hex[:24]}",
            call.name,
            json.dumps(call.arguments, ensure_ascii=False),
        )
        for call in calls
    ]


def _message(message: ChatMessage) -> Message:
    content = text_of(message.content)
    match message:
        case SystemMessage():
            return Message("system", content)
        case UserMessage():
            return Message("user", content)
        case ToolMessage():
            return Message("tool", content, call_id=message.tool_call_id)
        case AssistantMessage():
            calls = tuple(
                ToolCall(c.function.name, arguments_of(c.function.arguments, c.function.name), c.id)
                for c in message.tool_calls or ()
            )
            return Message("assistant", content, tool_calls=calls)
