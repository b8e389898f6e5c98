"""Work done ahead of whoever uses its results, in their order. Knows nothing of the work."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(call: Callable[[T], R], items: Iterable[T], *, threads: int) -> Generator[R, None, None]:
    """`call(item)` for each item, in order, with some calls running ahead in threads.

    A call's exception is raised in its turn. When the reader stops early, so does the rest; a call
    that is still running is left alone and cannot keep the program from ending.
    """
    jobs: queue.SimpleQueue[tuple[Future[R], T] | None] = queue.SimpleQueue()
    pending: deque[Future[R]] = deque()
    for _ in range(threads):
        # An executor's threads would be waited for at the end of the program.
        threading.Thread(target=_work, args=(call, jobs), daemon=True).start()
    try:
        for item in items:
            pending.append(Future())
            jobs.put((pending[-1], item))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        for _ in range(threads):
            jobs.put(None)


def _work(call: Callable[[T], R], jobs: queue.SimpleQueue[tuple[Future[R], T] | None]) -> None:
    while (job := jobs.get()) is not None:
        future, item = job
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(call(item))
            except BaseException as error:  # noqa: BLE001 - it is raised to the reader
                future.set_exception(error)
