"""What is asked of an OpenAI-compatible server, as its JSON, and its reply put together again.

Pure translation between our nouns and the wire; opens no connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backbone.request import Completion, Content, FinishReason, Message, Sampling, ToolCall
from rag.errors import RemoteError, Unsupported

# What only some servers know is sent only when it is asked for.
_USUAL = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed")
_EXTRA = ("top_k", "min_p", "repetition_penalty")
_REASONS: dict[str, FinishReason] = {
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


def messages_to_json(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The conversation as the wire has it."""
    return [_message(message) for message in messages]


def sampling_to_json(sampling: Sampling) -> dict[str, Any]:
    """What differs from the API's defaults; what not every server knows is in `extra_body`."""
    default = Sampling()
    body: dict[str, Any] = {"temperature": sampling.temperature}
    for name in _USUAL:
        if getattr(sampling, name) != getattr(default, name):
            body[name] = getattr(sampling, name)
    if sampling.logit_bias:
        body["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias}
    extra = {n: getattr(sampling, n) for n in _EXTRA if getattr(sampling, n) != getattr(default, n)}
    if extra:
        body["extra_body"] = extra
    return body


def tools_to_json(tools: Sequence[Any], choice: str, *, parallel: bool) -> dict[str, Any]:
    """Tools, each with an `as_json()` or as a mapping, and which of them may be called."""
    if not tools:
        return {}
    named = {"type": "function", "function": {"name": choice}}
    body: dict[str, Any] = {
        "tools": [{"type": "function", "function": _tool(tool)} for tool in tools],
        "tool_choice": choice if choice in ("auto", "none", "required") else named,
    }
    return body if parallel else {**body, "parallel_tool_calls": False}


def schema_to_json(schema: Any) -> dict[str, Any]:
    """A JSON schema, or a pydantic model, that the reply has to keep to."""
    if schema is None:
        return {}
    wanted = schema if isinstance(schema, Mapping) else schema.model_json_schema()
    named = {"name": "answer", "schema": dict(wanted), "strict": _is_strict(wanted)}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _is_strict(schema: Any) -> bool:
    """Whether OpenAI takes a schema as strict: every object closed, and all of it required."""
    if isinstance(schema, Mapping):
        if "properties" in schema:
            closed = schema.get("additionalProperties") is False
            if not closed or set(schema.get("required", ())) != set(schema["properties"]):
                return False
        return all(_is_strict(part) for part in schema.values())
    return not isinstance(schema, list) or all(_is_strict(part) for part in schema)


def _tool(tool: Any) -> dict[str, Any]:
    value = tool if isinstance(tool, Mapping) else tool.as_json()
    return dict(value.get("function", value))


def _message(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": _text(message.content)}
    if message.tool_calls:
        body["tool_calls"] = [
            {
                "id": call.id or f"call_{number}",
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
            }
            for number, call in enumerate(message.tool_calls)
        ]
    if message.role == "tool":
        body["tool_call_id"] = message.call_id or "call_0"
    return body


def _text(content: Content) -> str:
    parts = (content,) if isinstance(content, str) else content
    if not all(isinstance(part, str) for part in parts):
        raise Unsupported("a remote model cannot be sent special tokens")
    return "".join(str(part) for part in parts)


@dataclass(slots=True)
class Reply:
    """A reply as its pieces come in. `take` gives the text of each; `completion` is the whole."""

    text: list[str] = field(default_factory=list)
    reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    length: int = 0  # characters that came
    calls: dict[int, dict[str, str]] = field(default_factory=dict)

    def take(self, chunk: Any) -> str:
        """Add a chunk of the stream; the text in it. RemoteError when the server ends it so."""
        if usage := chunk.usage:
            self.prompt_tokens = usage.prompt_tokens or 0
            self.completion_tokens = usage.completion_tokens or 0
            details = getattr(usage, "prompt_tokens_details", None)
            self.cached_tokens = getattr(details, "cached_tokens", None) or 0
        text = ""
        for choice in chunk.choices or ():
            delta = choice.delta
            text += (delta.content if delta else None) or ""
            for call in (delta.tool_calls if delta else None) or ():
                self._add_call(call)
            self.reason = choice.finish_reason or self.reason
        if self.reason == "content_filter":
            raise RemoteError("the server's content filter ended the reply")
        if text:
            self.text.append(text)
            self.length += len(text)
        return text

    def completion(self, reason: FinishReason | None = None) -> Completion:
        """All that came; RemoteError when a call's arguments are not the JSON of an object."""
        return Completion(
            text="".join(self.text),
            finish_reason=reason or _REASONS.get(self.reason or "", "stop"),
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            tool_calls=() if reason else tuple(_call(call) for call in self.calls.values()),
            cached_tokens=self.cached_tokens,
        )

    def _add_call(self, piece: Any) -> None:
        call = self.calls.setdefault(piece.index or 0, {"id": "", "name": "", "arguments": ""})
        call["id"] = piece.id or call["id"]
        if piece.function:
            call["name"] += piece.function.name or ""
            call["arguments"] += piece.function.arguments or ""
            self.length += len(piece.function.arguments or "")


def _call(call: Mapping[str, str]) -> ToolCall:
    try:
        arguments = json.loads(call["arguments"] or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise RemoteError(
            f"the server called {call['name']} with what is no JSON object: {call['arguments']!r}"
        )
    return ToolCall(call["name"], arguments, call["id"])
