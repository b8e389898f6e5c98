"""Files that survive a crash, and the lock that keeps a second writer out.

Knows nothing of what the files hold.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from ingest.errors import IndexFault, IndexLocked


def checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def publish(temporary: Path, target: Path) -> None:
    """Give a finished file its name: after a crash `target` is the old file or the new, whole."""
    descriptor = os.open(temporary, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(target)
    if os.name == "posix":  # elsewhere a folder cannot be opened, and renames need no such help
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(target: Path, text: str) -> None:
    """Write a small file so that a crash leaves the old content or the new, never a part."""
    check_targets([target])
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        publish(temporary, target)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise OSError(error.errno, error.strerror, str(target)) from error


def check_targets(targets: Iterable[Path]) -> None:
    """Raise OSError when no file of such a name can be written: before work that ends in one."""
    for target in targets:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder; give the name of a file", str(target))
        if not target.parent.is_dir():
            why = f"there is no folder {target.parent}"
            raise FileNotFoundError(errno.ENOENT, why, str(target))
        if not os.access(target.parent, os.W_OK):
            why = f"nothing may be written in {target.parent.resolve()}"
            raise PermissionError(errno.EACCES, why, str(target))


class WriterLock:
    """One writer at a time: an operating-system lock on a file, freed when its process dies.

    The file's text names the process that holds it. Taking it again while held counts, and as many
    releases free it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self._depth = 0

    def acquire(self, *, wait: float) -> None:
        """Take the lock, waiting up to `wait` seconds; IndexLocked names the process holding it."""
        deadline = time.monotonic() + wait
        while not self.attempt():
            if not os.access(self._path.parent, os.W_OK):
                raise IndexFault(f"the index in {self._path.parent} cannot be changed: read only")
            if time.monotonic() >= deadline:
                raise IndexLocked(
                    f"process {self._owner()} is writing to the index in {self._path.parent}; "
                    "wait for it to finish, or stop it, and run the command again"
                )
            time.sleep(0.05)

    def release(self) -> None:
        """Give back one acquire."""
        self._depth -= 1
        if self._depth == 0 and self._file is not None:
            self._file.close()  # closing drops the lock
            self._file = None

    def attempt(self) -> bool:
        """Take the lock if it is free, or held by this object already; whether it was taken."""
        if self._file is None:
            try:
                file = self._path.open("a+", encoding="utf-8")
            except OSError:  # a folder that may not be written
                return False
            if not _lock(file):
                file.close()
                return False
            file.seek(0)
            file.truncate()
            file.write(str(os.getpid()))
            file.flush()
            self._file = file
        self._depth += 1
        return True

    def _owner(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8").strip() or "(unknown)"
        except OSError:  # a locked file cannot be read everywhere
            return "(unknown)"


if os.name == "nt":
    import msvcrt

    _FAR = 1 << 30  # lock a byte far behind the text, which stays readable

    def _lock(file: IO[str]) -> bool:
        file.seek(_FAR)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: IO[str]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
