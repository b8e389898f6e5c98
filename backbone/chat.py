"""Messages -> token ids, through the checkpoint's own chat template.

The template is rendered with place marks instead of contents; contents are tokenised apart, as text
in which nothing is special, and spliced in. So no content can open or close a turn or forge a mark.
Knows no wording of its own and no torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from backbone.config import read_json
from backbone.errors import CheckpointError, Unsupported
from backbone.request import Content, Mark, Message
from backbone.tokenizer import Tokenizer

CHATML = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

# Private-use characters around the number of a message: no template writes them.
OPEN, CLOSE = "\U000f5d00", "\U000f5d01"
PLACE = re.compile(f"{OPEN}([0-9]+){CLOSE}")


class Chat:
    """The chat template of one checkpoint, over its tokenizer."""

    def __init__(self, template: Any, names: dict[str, str], tokenizer: Tokenizer) -> None:
        self._template = template  # jinja2.Template
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
        try:
            template = _environment().from_string(_source(folder, settings))
        except TemplateError as error:
            raise CheckpointError(f"the chat template of {folder} is broken: {error}") from None
        return cls(template, names, tokenizer)

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """The prompt that asks for the assistant's next turn."""
        from jinja2 import TemplateError

        if not messages:
            raise ValueError("a conversation needs at least one message")
        turns = [
            {"role": message.role, "content": f"{OPEN}{number}{CLOSE}"}
            for number, message in enumerate(messages)
        ]
        try:
            text = self._template.render(
                messages=turns, tools=None, add_generation_prompt=True, **self._names
            )
        except (TemplateError, TypeError, ValueError, LookupError) as error:
            raise Unsupported(f"the chat template refuses this conversation: {error}") from None
        ids: list[int] = []
        # `split` gives the template's own text at even places, numbers of messages at odd ones
        for place, part in enumerate(PLACE.split(text)):
            if place % 2:
                ids += self.content(messages[int(part)].content)
            elif OPEN in part or CLOSE in part:
                raise Unsupported("the chat template cuts contents into pieces")
            else:
                ids += self._tokenizer.encode_template(part)
        return ids

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
