"""Texts that a chat template must not see, and the marks that stand for them while it is rendered.

A template is code with special tokens in it; texts of users, documents and tools are spliced in
afterwards, as plain text. Knows no template and no wording.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from backbone.errors import Unsupported
from backbone.request import Content

# Private-use characters around the number of a text: no template writes them.
OPEN, CLOSE = "\U000f5d00", "\U000f5d01"
_PLACE = re.compile(f"{OPEN}([0-9]+){CLOSE}")


class Places:
    """The texts of one conversation, each behind its mark.

    `special` finds what a plain text may not hold when a template sees it.
    """

    def __init__(self, special: re.Pattern[str]) -> None:
        self._special = special
        self._contents: dict[int, Content] = {}
        self._strings: dict[int, str] = {}

    def content(self, content: Content) -> str:
        """A mark for a content, which is to be tokenised apart."""
        number = len(self._contents) + len(self._strings)
        self._contents[number] = content
        return f"{OPEN}{number}{CLOSE}"

    def string(self, text: str) -> str:
        """A mark for a string inside a call or a tool: escaped as the quotes around it ask for."""
        number = len(self._contents) + len(self._strings)
        self._strings[number] = text
        return f"{OPEN}{number}{CLOSE}"

    def guarded(self, value: Any) -> Any:
        """A JSON value with marks for the strings in it that hold special tokens or marks."""
        if isinstance(value, Mapping):
            return {self.guarded(key): self.guarded(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.guarded(inner) for inner in value]
        if isinstance(value, str) and (self._special.search(value) or set(value) & {OPEN, CLOSE}):
            return self.string(value)
        return value

    def parts(self, text: str) -> Iterator[tuple[str, str | Content]]:
        """A rendered text as ("template", text), ("string", text) and ("content", Content).

        Raises Unsupported when the template has cut a mark into pieces.
        """
        pieces = _PLACE.split(text)  # the template's own text at even places, numbers at odd ones
        for at, piece in enumerate(pieces):
            if at % 2 == 0:
                if OPEN in piece or CLOSE in piece:
                    raise Unsupported("the chat template cuts contents into pieces")
                yield "template", piece
            elif (number := int(piece)) in self._contents:
                yield "content", self._contents[number]
            else:
                escape = _escaping(pieces[at - 1][-1:], pieces[at + 1][:1])
                yield "string", escape(self._strings[number])


def _escaping(before: str, after: str) -> Callable[[str], str]:
    """How a string is written between these characters."""
    if before == after == '"':
        return lambda text: json.dumps(text, ensure_ascii=False)[1:-1]
    if before == after == "'":
        return _single_quoted
    return lambda text: text


def _single_quoted(text: str) -> str:
    """As the templates that use single quotation marks escape, where they escape at all."""
    for character, escape in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(character, escape)
    return text
