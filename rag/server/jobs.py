"""Indexing while the server answers: one run at a time on a thread of its own, and how far it is.

Knows nothing of HTTP, and not where the files may lie.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.sources import Skipped
from rag.server.errors import translated

if TYPE_CHECKING:
    from ingest.sync import Progress
    from rag.pipeline import Rag


# What to read, and what was left out with its reason
Find = Callable[[], tuple[Sequence[Path], Sequence[Skipped]]]


@dataclass(frozen=True, slots=True)
class Job:
    """The run that goes on, or else the last one; `number` 0 before the first.

    `done` of `total` files are read, the last of them `source`; `waiting` more runs are to come.
    At its end `added`, `updated` and `skipped` say what it did, or `error` why it could not.
    """

    number: int = 0
    name: str = ""
    running: bool = False
    waiting: int = 0
    source: str = ""
    done: int = 0
    total: int = 0
    passages: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: tuple[Skipped, ...] = ()
    stopped: bool = False
    error: str | None = None


class _Stopped(Exception):
    """The run is not wanted any more; what it has committed stays."""


class Jobs:
    """Runs, one after the other."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="index")
        self._lock = threading.Lock()
        self._job = Job()
        self._begun = 0
        self._stop_until = 0  # runs up to this number are to stop

    @property
    def job(self) -> Job:
        """How far the run is."""
        with self._lock:
            return replace(self._job, waiting=self._begun - self._job.number)

    def start(self, rag: Rag, find: Find, *, name: str) -> None:
        """Index the files that `find` gives, after the runs that go on."""
        with self._lock:
            self._begun += 1
            job = Job(self._begun, name, running=True)
        self._pool.submit(self._run, rag, find, job)

    def stop(self) -> None:
        """Stop after the file that is being read, and drop the runs that wait."""
        with self._lock:
            self._stop_until = self._begun

    def close(self) -> None:
        """Stop, and let the thread go."""
        self.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, rag: Rag, find: Find, job: Job) -> None:
        def note(at: Progress) -> None:
            if job.number <= self._stop_until:
                raise _Stopped
            done, total = at.done, at.total
            self._change(replace(job, source=at.source, done=done, total=total, passages=at.chunks))

        self._change(job)
        try:
            if job.number <= self._stop_until:
                raise _Stopped
            files, skipped = find()
            report = rag.index(files, progress=note)
        except _Stopped:
            self._change(replace(self.job, running=False, stopped=True))
        except Exception as error:  # noqa: BLE001  it is told to whoever looks
            told = str(translated(error).detail)
            self._change(replace(self.job, running=False, error=told))
        else:
            self._change(
                replace(
                    job,
                    running=False,
                    done=len(files),
                    total=len(files),
                    passages=report.chunks,
                    added=len(report.added),
                    updated=len(report.updated),
                    unchanged=report.unchanged,
                    skipped=(*skipped, *report.skipped),
                )
            )

    def _change(self, job: Job) -> None:
        with self._lock:
            self._job = job
