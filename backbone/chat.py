"""Messages -> token ids, through the checkpoint's own chat template.

The template is rendered with marks instead of texts; texts are spliced in afterwards, and nothing
in them is special. So no content, argument or tool can open or close a turn or forge a mark. Tools
and calls that a template leaves out are put into the contents, as the newest templates write them.
Knows no torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from backbone.calls import to_json, write_calls
from backbone.config import read_json
from backbone.errors import CheckpointError, Unsupported
from backbone.places import Places
from backbone.request import Content, Mark, Message, ToolCall
from backbone.tokenizer import Tokenizer
from backbone.tools import Tool

CALL_START, CALL_END = "<|tool_call_start|>", "<|tool_call_end|>"
CHATML = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


class Chat:
    """The chat template of one checkpoint, over its tokenizer."""

    def __init__(
        self, template: Any, names: dict[str, str], tokenizer: Tokenizer, *, source: str
    ) -> None:
        self._template = template  # jinja2.Template, compiled from the source
        self._writes_calls = "tool_calls" in source
        self._lists_tools = re.search(r"\btools\b", source) is not None
        self._names = names  # bos_token and the like
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path, tokenizer: Tokenizer) -> Chat:
        """Compile the template of a folder, plain ChatML when it has none."""
        from jinja2 import TemplateError

        path = folder / "tokenizer_config.json"
        settings = read_json(path) if path.is_file() else {}
        names = {k: _text(v) for k, v in settings.items() if k.endswith("_token") and v}
        names.setdefault(
            "bos_token", "<|startoftext|>" if "<|startoftext|>" in tokenizer.added else ""
        )
        source = _source(folder, settings)
        try:
            template = _environment().from_string(source)
        except TemplateError as error:
            raise CheckpointError(f"the chat template of {folder} is broken: {error}") from None
        return cls(template, names, tokenizer, source=source)

    def encode(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> list[int]:
        """The prompt that asks for the assistant's next turn, with the tools it may call."""
        from jinja2 import TemplateError

        if not messages:
            raise ValueError("a conversation needs at least one message")
        if not self._lists_tools:
            messages, tools = with_tools(messages, tools), ()
        places = Places(self._tokenizer.marked)
        turns = [self._turn(message, places) for message in messages]
        listed = [places.guarded(tool.as_json()) for tool in tools] or None
        try:
            text = self._template.render(
                messages=turns, tools=listed, add_generation_prompt=True, **self._names
            )
        except (TemplateError, TypeError, ValueError, LookupError) as error:
            raise Unsupported(f"the chat template refuses this conversation: {error}") from None
        return self._spliced(text, places)

    def _turn(self, message: Message, places: Places) -> dict[str, Any]:
        """A message as templates expect it, with marks for its texts."""
        content = message.content
        if message.tool_calls and not self._writes_calls:
            content = call_content(message)
        turn: dict[str, Any] = {"role": message.role, "content": places.content(content)}
        if message.tool_calls and self._writes_calls:
            turn["tool_calls"] = [_call(call, places) for call in message.tool_calls]
            turn["content"] = turn["content"] if content else ""
        if message.call_id is not None:
            turn["tool_call_id"] = places.string(message.call_id)
        return turn

    def _spliced(self, text: str, places: Places) -> list[int]:
        """The ids of a rendered text: contents apart, strings as part of the text around them."""
        ids: list[int] = []
        plain = ""
        for kind, part in places.parts(text):
            if kind == "content":
                ids += self._tokenizer.encode(plain) + self.content(part)
                plain = ""
                continue
            assert isinstance(part, str)
            for piece in self._tokenizer.cut(part) if kind == "template" else (part,):
                if isinstance(piece, str):
                    plain += piece
                else:
                    ids += [*self._tokenizer.encode(plain), piece]
                    plain = ""
        return ids + self._tokenizer.encode(plain)

    def raw(self, text: str) -> list[int]:
        """The ids of a text that is no conversation, after the token that begins every text."""
        begin = self._names.get("bos_token", "")
        return [*self._tokenizer.encode_template(begin), *self._tokenizer.encode(text)]

    def content(self, content: Content) -> list[int]:
        """The ids of one content: plain text, and the special tokens that its Marks name."""
        ids: list[int] = []
        for part in (content,) if isinstance(content, str) else content:
            if isinstance(part, str):
                ids += self._tokenizer.encode(part)
            else:
                ids.append(self._mark(part))
        return ids

    def _mark(self, mark: Mark) -> int:
        try:
            return self._tokenizer.added[mark.token]
        except KeyError:
            raise Unsupported(f"this model's tokenizer has no special token {mark.token}") from None


def with_tools(messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    """The messages with the tools listed in the system turn, for a template that lists none."""
    if not tools:
        return list(messages)
    listed = f"List of tools: [{', '.join(to_json(tool.as_json()) for tool in tools)}]"
    first = messages[0]
    if first.role != "system":
        return [Message("system", listed), *messages]
    parts = (first.content,) if isinstance(first.content, str) else first.content
    return [Message("system", (*parts, "\n" + listed if any(parts) else listed)), *messages[1:]]


def call_content(message: Message) -> Content:
    """An assistant's content with its calls before it, for a template that writes none."""
    parts = (message.content,) if isinstance(message.content, str) else message.content
    return (Mark(CALL_START), write_calls(message.tool_calls), Mark(CALL_END), *parts)


def _call(call: ToolCall, places: Places) -> dict[str, Any]:
    """A call as templates expect it: what is in `function` is beside it too."""
    arguments = {
        places.guarded(name): places.string(value)
        if isinstance(value, str)
        else places.guarded(value)
        for name, value in call.arguments.items()
    }
    inner = {"name": places.guarded(call.name), "arguments": arguments}
    return {"id": places.string(call.id), "type": "function", "function": inner, **inner}


def _source(folder: Path, settings: dict[str, Any]) -> str:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    template = settings.get("chat_template", CHATML)
    if isinstance(template, list):  # several, by name
        template = next((t["template"] for t in template if t["name"] == "default"), None)
    if not isinstance(template, str):
        raise CheckpointError(
            f"{folder} has a chat_template that is neither text nor named 'default'"
        )
    return template


def _text(token: str | dict[str, Any]) -> str:
    """A special token as `tokenizer_config.json` writes it: its text, or a record with it."""
    return token if isinstance(token, str) else str(token["content"])


def _environment() -> Any:
    """Jinja as chat templates are written for: sandboxed, block lines trimmed, a few functions."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: object, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent)  # Jinja's own escapes HTML

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment
