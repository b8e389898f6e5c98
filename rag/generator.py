"""The `Generator` seam: what writes, and finding one by its name.

Knows no question, no document and no tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from backbone.request import GREEDY, Content, Message, Sampling, Stream
from rag.errors import Unsupported

if TYPE_CHECKING:
    from backbone.grammar import Grammar
    from backbone.schema import Schema
    from backbone.tools import Tool, ToolChoice

BUILTIN = "builtin"


class Generator(Protocol):
    """What writes: the embedded model, or anything that keeps this contract.

    `abilities` are out of "quote" (keeps to a grammar of quotes), "chat", "write" (chats, and well
    enough for sentences of its own), "tools", "schema" and "score"; answering takes "chat", or
    "quote" with "score".
    """

    @property
    def name(self) -> str:
        """What the answer's `model` says."""

    @property
    def context_length(self) -> int:
        """Tokens that a prompt and its reply may hold together."""

    @property
    def abilities(self) -> frozenset[str]:
        """What it can be asked for."""

    def count(self, content: Content) -> int:
        """How many tokens a content takes inside a prompt, as near as can be told."""

    def submit(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 512,
        sampling: Sampling = GREEDY,
        grammar: Grammar | None = None,
        schema: Schema | None = None,
        tools: Sequence[Tool] = (),
        tool_choice: ToolChoice = "auto",
        parallel_calls: bool = True,
        stop: Sequence[str] = (),
    ) -> Stream:
        """Start a reply. Raises PromptTooLong, before anything runs, when the prompt cannot fit."""

    def score(self, messages: Sequence[Message], continuations: Sequence[Content]) -> list[float]:
        """The log-probability of each continuation after the messages."""


def load_generator(name: str | Path, *, threads: int | None = None) -> Generator:
    """What writes: `builtin`, a folder, a checkpoint on the hub, or `https://host/v1#name`."""
    from backbone.backbone import Backbone
    from rag.remote import RemoteGenerator, is_address

    if is_address(name):
        return RemoteGenerator.open(str(name))
    return Backbone.load(name, threads=threads)


def check_answers(generator: Generator) -> Generator:
    """The generator, if it can answer questions. Raises Unsupported."""
    if "chat" not in generator.abilities and not {"quote", "score"} <= generator.abilities:
        raise Unsupported(
            f"{generator.name} can {', '.join(sorted(generator.abilities)) or 'nothing'}; "
            "answering takes a generator with 'chat', or with 'quote' and 'score'"
        )
    return generator
