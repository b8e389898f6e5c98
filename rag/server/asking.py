"""A question to the index, answered on a thread, with its sentences as they are found.

Bridges the library, which is synchronous, to the server, which is not. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import suppress

from backbone.errors import BackboneError, Busy
from rag.answer import Answer, Sentence
from rag.draft import AnswerStream
from rag.server.generations import Generations
from rag.server.watched import Stopper

WAITING = 1000  # questions that may wait for a thread


class Asking:
    """One question. `sentences()` yields them, and then `answer` is there."""

    def __init__(self, ask: Callable[[], AnswerStream]) -> None:
        self.answer: Answer | None = None
        self._ask = ask
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Sentence | Exception | None] = asyncio.Queue()
        self._over = False  # as far as it was read
        self._stopper = Stopper()

    def run(self) -> None:
        """Answer, on a thread that may be kept waiting."""
        try:
            self._stopper.listen()
            if self._stopper.stopped():
                return
            stream = self._ask()
            for sentence in stream.sentences():
                self._tell(sentence)
                if self._stopper.stopped():
                    stream.close()
                    return
            self.answer = stream.result()
            self._tell(None)
        except Exception as error:  # noqa: BLE001  raised again where the answer is awaited
            self._tell(error)

    def cancel(self) -> None:
        """Stop what a Watched generator is doing for it, and in any case at the next sentence."""
        self._stopper.cancel()

    async def sentences(self) -> AsyncIterator[Sentence]:
        """Yield what was found, as it is. Raises what answering raised."""
        while not self._over:
            found = await self._queue.get()
            self._over = not isinstance(found, Sentence)
            if isinstance(found, Exception):
                raise found
            if found is not None:
                yield found

    async def result(self) -> Answer:
        """The whole answer."""
        async for _ in self.sentences():
            pass
        if self.answer is None:
            raise BackboneError("the answer was stopped before it was complete")
        return self.answer

    def _tell(self, found: Sentence | Exception | None) -> None:
        with suppress(RuntimeError):  # when the loop has closed no one listens
            self._loop.call_soon_threadsafe(self._queue.put_nowait, found)


class Askers:
    """The threads that answer, a few questions at a time; more wait, without a thread."""

    def __init__(self, executor: Executor, *, waiting: int = WAITING) -> None:
        self._executor = executor
        self._most = waiting
        self._waiting = 0

    def ask(self, ask: Callable[[], AnswerStream], started: Generations) -> Asking:
        """Begin to answer. Raises Busy when too many wait."""
        if self._waiting >= self._most:
            raise Busy(f"{self._waiting} questions are waiting: ask again later")
        asking = Asking(ask)
        started.add(asking)
        self._waiting += 1
        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._executor, asking.run).add_done_callback(self._done)
        return asking

    def _done(self, _: object) -> None:
        self._waiting -= 1
