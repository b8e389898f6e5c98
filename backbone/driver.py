"""The one thread that owns an engine. Other threads hand it work; it steps while there is any."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from backbone.engine import Engine, Generation
from backbone.errors import BackboneError


class Driver:
    """Runs an engine on a thread of its own, from `start` until `close`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._inbox: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="backbone", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def add(self, generation: Generation) -> None:
        """Queue a generation; BackboneError after `close`."""
        self._post(lambda: self._engine.add(generation))

    def score(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[float]:
        """`Engine.score`, waited for; BackboneError after `close`."""
        future: Future[list[float]] = Future()

        def work() -> None:
            try:
                future.set_result(self._engine.score(prompt, continuations))
            except Exception as error:  # noqa: BLE001  raised again in the thread that waits
                future.set_exception(error)

        self._post(work)
        return future.result()

    def close(self) -> None:
        """Cancel what is running and end the thread; safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _post(self, work: Callable[[], None]) -> None:
        with self._changed:
            if self._closed:
                raise BackboneError("this Backbone is closed")
            self._inbox.append(work)
            self._changed.notify()

    def _run(self) -> None:
        while self._take_work():
            try:
                self._engine.step()
            except Exception as error:  # noqa: BLE001  whoever waits for a stream gets it
                self._engine.fail(error)
        self._engine.cancel()

    def _take_work(self) -> bool:
        """Do what was handed in, waiting for it when the engine is idle; False when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._inbox or self._engine.busy)
            work, closed = list(self._inbox), self._closed
            self._inbox.clear()
        for job in work:
            job()
        return not closed
