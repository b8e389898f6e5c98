"""The tokens of a reply that may call tools -> its text, and the calls in it.

Stands between a Reply and its Detokenizer: the block between the call tokens is kept out of the
text. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from backbone.calls import looks_bare, parse_bare, parse_calls
from backbone.chat import CALL_END, CALL_START
from backbone.request import ToolCall
from backbone.tokenizer import Detokenizer, Tokenizer
from backbone.tools import Tool

CALL_TOKENS = frozenset({CALL_START, CALL_END})


class CallReader:
    """Reads the calls of one reply. It is a Detokenizer of the text outside of them.

    With `bare` a whole message that only calls a tool counts, though no call tokens stand in it.
    """

    def __init__(self, tokenizer: Tokenizer, tools: Sequence[Tool], *, bare: bool) -> None:
        self._tools = tuple(tools)
        self._bare = bare
        self._start, self._end = tokenizer.added[CALL_START], tokenizer.added[CALL_END]
        self._outside = Detokenizer(tokenizer)
        self._inside = Detokenizer(tokenizer)
        self._open = False
        self._block = ""
        self._calls: tuple[ToolCall, ...] = ()

    def push(self, number: int) -> str:
        """The text outside of calls that one more token completes.

        Raises CallError when the token ends a block that no tool allows; no grammar of calls does.
        """
        if number == self._start:
            self._open, self._block = True, ""
        elif self._open and number == self._end:
            self._open = False
            self._calls += self._numbered(parse_calls(self._block, self._tools))
        elif self._open:
            self._block += self._inside.push(number)
        else:
            return self._outside.push(number)
        return ""

    def holds(self, text: str) -> bool:
        """Whether a reply's text, so far, may turn out to be nothing but a call."""
        return self._bare and not self._calls and looks_bare(text)

    def finish(self, text: str) -> tuple[str, tuple[ToolCall, ...]]:
        """A reply's text without calls, and its calls. A block that was cut short is none."""
        if self.holds(text) and (bare := parse_bare(text, self._tools)):
            return "", self._numbered(bare)
        return text, self._calls

    def _numbered(self, calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
        return tuple(replace(call, id=f"call_{uuid4().hex[:24]}") for call in calls)
