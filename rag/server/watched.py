"""A generator whose work can be stopped from outside the thread that waits for it.

Answering is synchronous and keeps its streams to itself; whoever asked on a thread hears of the
streams that were started there, and can cancel them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING

from backbone.errors import BackboneError
from backbone.request import GREEDY, Content, Message, Sampling, Stream

if TYPE_CHECKING:
    from backbone.grammar import Grammar
    from backbone.schema import Schema
    from backbone.tools import Tool, ToolChoice
    from rag.generator import Generator


class Stopper:
    """Stops what one thread has a Watched generator do. `cancel` may come from any thread."""

    def __init__(self) -> None:
        self._streams: list[Stream] = []
        self._stopped = False
        self._lock = threading.Lock()

    def stopped(self) -> bool:
        """Whether `cancel` was called."""
        return self._stopped

    def listen(self) -> None:
        """Hear, from now on, of what this thread starts."""
        _stopper.set(self)

    def take(self, stream: Stream) -> None:
        """Hear of a stream."""
        with self._lock:
            self._streams.append(stream)
        if self._stopped:
            stream.cancel()

    def cancel(self) -> None:
        """Cancel what runs and what will be started."""
        with self._lock:
            self._stopped = True
            streams = list(self._streams)
        for stream in streams:
            stream.cancel()


_stopper: ContextVar[Stopper | None] = ContextVar("stopper", default=None)


class Watched:
    """The generator itself, in all that is asked of it; its streams are told to the Stopper."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    @property
    def name(self) -> str:
        """Its name."""
        return self._generator.name

    @property
    def context_length(self) -> int:
        """Its context."""
        return self._generator.context_length

    @property
    def abilities(self) -> frozenset[str]:
        """Its abilities."""
        return self._generator.abilities

    def count(self, content: Content) -> int:
        """How many tokens a content takes."""
        return self._generator.count(content)

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
        """Start a reply."""
        stream = self._generator.submit(
            messages,
            max_tokens=max_tokens,
            sampling=sampling,
            grammar=grammar,
            schema=schema,
            tools=tools,
            tool_choice=tool_choice,
            parallel_calls=parallel_calls,
            stop=stop,
        )
        if stopper := _stopper.get():
            stopper.take(stream)
        return stream

    def score(self, messages: Sequence[Message], continuations: Sequence[Content]) -> list[float]:
        """The log-probability of each continuation; BackboneError when no one waits for it."""
        stopper = _stopper.get()
        if stopper and stopper.stopped():
            raise BackboneError("the question was taken back")
        return self._generator.score(messages, continuations)
