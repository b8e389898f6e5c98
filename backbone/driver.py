"""The one thread that owns an engine. Other threads hand it work; it steps while there is any."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from backbone.engine import Engine
from backbone.errors import BackboneError, Busy
from backbone.generation import Generation
from backbone.scheduler import Stats
from backbone.scoring import Scoring


class Driver:
    """Runs an engine on a thread of its own, from `start` until `close`.

    At most about `waiting` requests may wait for their turn.
    """

    def __init__(self, engine: Engine, *, waiting: int = 10_000) -> None:
        self._engine = engine
        self._most = waiting
        self._inbox: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="backbone", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def add(self, generation: Generation) -> None:
        """Queue a generation; Busy when too many wait, BackboneError after `close`."""
        self._post(lambda: self._engine.add(generation))

    def score(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[float]:
        """The scores of a Scoring, waited for; Busy and BackboneError as with `add`."""
        future: Future[list[float]] = Future()
        scoring = Scoring(
            prompt, continuations, done=future.set_result, failed=future.set_exception
        )
        self._post(lambda: self._engine.add(scoring))
        return future.result()

    def stats(self) -> Stats:
        """The engine's figures of now."""
        return self._engine.stats

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
            if self._engine.waiting + len(self._inbox) >= self._most:
                raise Busy(f"{self._most} requests are waiting already: try again later")
            self._inbox.append(work)
            self._changed.notify()

    def _run(self) -> None:
        while self._take_work():
            try:
                self._engine.step()
            except Exception as error:  # noqa: BLE001  whoever waits for a stream gets it
                self._engine.fail(error)
        self._engine.close()

    def _take_work(self) -> bool:
        """Do what was handed in, waiting for it when the engine is idle; False when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._inbox or self._engine.busy)
            work, closed = list(self._inbox), self._closed
            self._inbox.clear()
        for job in work:
            job()
        return not closed
