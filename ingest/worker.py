"""Parsers in processes of their own, which may be killed: a bad file costs that file only.

A worker takes one file at a time over a pipe, under a memory limit and a deadline. It is started
when first needed and started again after it died. Knows nothing of formats: `ingest.parse` and
`ingest.pictures` do.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from ingest.document import Document, Heading
from ingest.draft import Content, Member
from ingest.errors import ExtractError, PasswordNeeded
from ingest.pictures import Picture
from ingest.sources import Skipped

_MEMORY = 1_500_000_000
_STOPPED = "was not read to its end, since nobody waited any longer"
_SWOLLEN = 600_000_000  # bytes; a worker that ever held so much is replaced after its file
_PATIENCE = 3  # on a busy machine a file may take so many times the seconds it would take alone
# Not multiprocessing: its "spawn" runs the caller's script again, which then needs a main guard.
_START = "import sys; sys.path[:] = {path!r}; from ingest.worker import serve; serve({memory})"


class Workers:
    """Up to `count` worker processes, shared by the threads that call them.

    `timeout` is the seconds of work a file may cost (three times as many may pass, where other
    programs keep the machine busy), `memory` the bytes a worker may use.
    """

    def __init__(self, count: int = 1, *, timeout: float = 60.0, memory: int = _MEMORY) -> None:
        self._timeout = timeout
        self._memory = memory
        self._busy: set[_Worker] = set()
        self._lock = threading.Lock()  # of the set and of what follows
        self._closed = False
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(None)  # a place for a worker that is not started yet

    def extract(
        self,
        data: bytes,
        name: str,
        passwords: Sequence[str] = (),
        *,
        skip: Callable[[Skipped], None] | None = None,
    ) -> list[Document]:
        """`ingest.extract.extract` with these workers."""
        from ingest.extract import extract  # it imports this module

        return extract(data, name=name, passwords=passwords, workers=self, skip=skip)

    def parse(
        self, data: bytes, *, media_type: str, name: str, passwords: Sequence[str] = ()
    ) -> Content:
        """`ingest.parse.parse` in a worker; ExtractError also when it dies, hangs or swells."""
        request = {"media_type": media_type, "name": name, "passwords": list(passwords)}
        return _content(self._ask(request, data))

    def draw(self, data: bytes, *, page: int, quote: str = "", at: float = 0.0) -> Picture:
        """`ingest.pictures.draw` in a worker; ExtractError also when it dies, hangs or swells."""
        return _picture(self._ask({"page": page, "quote": quote, "at": at}, data))

    def _ask(self, request: dict[str, Any], data: bytes) -> dict[str, Any]:
        worker = self._idle.get()
        try:
            used = worker is not None
            worker = self._taken(worker)
            reply = self._reply(worker, request, data)
            if reply is None and used and not worker.late():
                worker = self._taken(None)  # perhaps an earlier file had hurt the old one
                reply = self._reply(worker, request, data)
            if reply is None:
                raise ExtractError(self._death(worker))
        finally:
            self._idle.put(worker if worker is not None and worker.healthy else None)
        if "error" in reply:
            raise (PasswordNeeded if reply["locked"] else ExtractError)(reply["error"])
        return reply

    def _taken(self, worker: _Worker | None) -> _Worker:
        """A worker to ask, a new one where there is none."""
        with self._lock:
            if self._closed:
                raise ExtractError(_STOPPED)
            worker = worker or _Worker(self._memory)
            self._busy.add(worker)
            return worker

    def _reply(
        self, worker: _Worker, request: dict[str, Any], data: bytes
    ) -> dict[str, Any] | None:
        try:
            return worker.ask(request, data, self._timeout)
        finally:
            with self._lock:
                self._busy.discard(worker)
                if self._closed:
                    worker.kill()

    def close(self) -> None:
        """End the workers for good: who still waits for one gets an ExtractError."""
        with self._lock:
            self._closed = True
            for busy in self._busy:
                busy.stop()
        for _ in range(self._idle.qsize()):
            if (worker := self._idle.get()) is not None:
                worker.kill()
            self._idle.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _death(self, worker: _Worker) -> str:
        if self._closed:
            return _STOPPED
        if worker.late():
            return f"took longer than {self._timeout:g} seconds to read"
        megabytes = self._memory // 1_000_000
        return f"the parser stopped on it (damaged, or needs more than {megabytes} MB of memory)"


class _Worker:
    """One worker process, seen from here."""

    def __init__(self, memory: int) -> None:
        path = [str(Path(folder).absolute()) for folder in sys.path]
        code = _START.format(path=path, memory=memory)
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.healthy = True
        self._expired = False

    def ask(self, request: dict[str, Any], data: bytes, timeout: float) -> dict[str, Any] | None:
        """Send a file and wait for the reply; None when the worker died or was killed for time."""
        timer = threading.Timer(timeout * (_PATIENCE if _counts_work() else 1), self._expire)
        timer.daemon = True
        timer.start()
        try:
            reply = self._exchange(request | {"timeout": timeout}, data)
        finally:
            timer.cancel()
        if reply is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)  # its end has been seen; its status says why
        if reply is None or reply["swollen"]:
            self.kill()
        return reply

    def late(self) -> bool:
        """Whether the process ended because its file took too long."""
        return self._expired or (_counts_work() and self._process.poll() == -signal.SIGPROF)

    def stop(self) -> None:
        """End the process, while another thread waits for its reply."""
        self.healthy = False
        self._process.kill()

    def kill(self) -> None:
        """End the process at once."""
        self.healthy = False
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was not sent yet cannot be any more
                    pipe.close()

    def _exchange(self, request: dict[str, Any], data: bytes) -> dict[str, Any] | None:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            _send(self._process.stdin, request | {"size": len(data)})
            self._process.stdin.write(data)
            self._process.stdin.flush()
            line = self._process.stdout.readline()
            return json.loads(line) if line.endswith(b"\n") else None
        except OSError:
            return None
        except BaseException:  # an interrupt: the reply that is still to come is nobody's
            self.kill()
            raise

    def _expire(self) -> None:
        self._expired = True
        self._process.kill()


def serve(memory: int) -> None:
    """The worker's side: answer requests until the other end closes the pipe."""
    _limit(memory)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to act on
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a parser prints must not get among the replies
    swollen = max(_SWOLLEN, _peak())  # Linux begins with what the parent held at the time
    while line := requests.readline():
        request = json.loads(line)
        data = requests.read(request.pop("size"))
        _count_work(request.pop("timeout"))
        reply = _answer(request, data)
        _count_work(0)
        _send(replies, reply | {"swollen": _peak() > swollen})
        replies.flush()
    os._exit(0)  # xberg's threads crash in Python's own ending


def _answer(request: dict[str, Any], data: bytes) -> dict[str, Any]:
    try:
        return (_draw if "page" in request else _parse)(data, request)
    except PasswordNeeded as error:
        return {"error": str(error), "locked": True}
    except ExtractError as error:
        return {"error": str(error), "locked": False}
    except MemoryError:
        return {"error": "needs more memory than a parser may use", "locked": False}
    except Exception as error:  # noqa: BLE001 - whatever a parser does, the file gets a reason
        words = f"{type(error).__name__}: {error}".rstrip(": ")
        return {"error": f"could not be read ({words[:200]})", "locked": False}


def _parse(data: bytes, request: dict[str, Any]) -> dict[str, Any]:
    from ingest.parse import parse

    content = parse(data, **request)
    return {
        "text": content.text,
        "title": content.title,
        "pages": content.pages,
        "headings": [(h.start, h.level, h.text) for h in content.headings],
        "members": [(m.name, base64.b64encode(m.data).decode()) for m in content.members],
        "date": content.date,
    }


def _draw(data: bytes, request: dict[str, Any]) -> dict[str, Any]:
    from ingest.pictures import draw

    picture = draw(data, **request)
    return asdict(picture) | {"png": base64.b64encode(picture.png).decode()}


def _picture(reply: dict[str, Any]) -> Picture:
    marks = tuple((x, y, width, height) for x, y, width, height in reply["marks"])
    return Picture(base64.b64decode(reply["png"]), reply["width"], reply["height"], marks)


def _content(reply: dict[str, Any]) -> Content:
    return Content(
        text=reply["text"],
        title=reply["title"],
        pages=tuple(reply["pages"]),
        headings=tuple(Heading(*heading) for heading in reply["headings"]),
        members=tuple(Member(name, base64.b64decode(data)) for name, data in reply["members"]),
        date=reply["date"],
    )


def _send(pipe: BinaryIO | Any, value: dict[str, Any]) -> None:
    pipe.write(json.dumps(value).encode() + b"\n")


def _limit(memory: int) -> None:
    """Let an allocation fail rather than fill the machine, where the system can."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    with contextlib.suppress(ValueError, OSError):  # refused: the deadline still holds
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _counts_work() -> bool:
    """Whether the system can end a process after so many seconds of its own work."""
    return hasattr(signal, "setitimer")


def _count_work(seconds: float) -> None:
    """End this process (by SIGPROF) after so many seconds of work from now on; 0 = never."""
    if _counts_work():
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _peak() -> int:
    """The most memory this process ever held, in bytes."""
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
