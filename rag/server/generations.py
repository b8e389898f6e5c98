"""Work of other threads, from the server's side: started, awaited, and ended with its request.

No thread waits for a generation: its Stream calls back. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Protocol, TypeVar

from backbone.errors import BackboneError
from backbone.request import Completion, Stream


class Work(Protocol):
    """Something that runs elsewhere and can be told to stop; to stop it twice does no harm."""

    def cancel(self) -> None:
        """Ask it to stop."""


W = TypeVar("W", bound=Work)


class Generations:
    """All that one HTTP request has started. Whatever becomes of the request, `cancel` ends it."""

    def __init__(self) -> None:
        self._work: list[Work] = []
        self._over = False
        self._lock = threading.Lock()

    async def start(self, executor: Executor, submit: Callable[[], W]) -> W:
        """Call `submit`, which may take a while, on another thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(executor, self._submit, submit)

    def add(self, work: Work) -> None:
        """Take on something that has been started already."""
        with self._lock:
            self._work.append(work)
            over = self._over
        if over:
            work.cancel()

    def cancel(self) -> None:
        """End what runs, and what is still being started once it is."""
        with self._lock:
            self._over = True
            work = list(self._work)
        for one in work:
            one.cancel()

    def _submit(self, submit: Callable[[], W]) -> W:
        if self._over:
            raise BackboneError("the request is over")  # whoever asked is gone
        started = submit()
        self.add(started)
        return started


async def ended(streams: Sequence[Stream]) -> list[Completion]:
    """The results of streams, in their order. Raises what the first failed one failed with."""
    loop = asyncio.get_running_loop()
    over = asyncio.Semaphore(0)

    def tell(piece: str | None) -> None:
        if piece is None:
            _call(loop, over.release)

    for stream in streams:
        stream.subscribe(tell)
    for _ in streams:
        await over.acquire()
    return [completed(stream) for stream in streams]


async def arriving(streams: Sequence[Stream]) -> AsyncIterator[tuple[int, str | None]]:
    """The text of streams as it comes: (number of the stream, text), and None at each end.

    What has piled up comes in one piece.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[int, str | None]] = asyncio.Queue()

    def listen(number: int, stream: Stream) -> None:
        stream.subscribe(lambda piece: _call(loop, queue.put_nowait, (number, piece)))

    for number, stream in enumerate(streams):
        listen(number, stream)
    left = len(streams)
    while left:
        waiting = [await queue.get()]
        while not queue.empty():
            waiting.append(queue.get_nowait())
        for number in range(len(streams)):
            of_stream = [piece for n, piece in waiting if n == number]
            if text := "".join(piece for piece in of_stream if piece is not None):
                yield number, text
            if None in of_stream:
                left -= 1
                yield number, None


def completed(stream: Stream) -> Completion:
    """The result of a stream that has ended; BackboneError when the engine gave it up."""
    completion = stream.result(timeout=0)
    if completion.finish_reason in ("cancelled", "error"):
        raise BackboneError("the generation was stopped: the server is closing or has failed")
    return completion


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *args: object) -> None:
    """Have the loop call; nothing when it has closed, since then no one listens."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *args)
