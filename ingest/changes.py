"""Reads what has changed since the index last saw it, files and pages, and cuts it into chunks.

Knows nothing of the index; it is told what was known of each file.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ingest.catalog import FileRecord
from ingest.chunk import chunk
from ingest.document import Chunk, Document
from ingest.errors import ExtractError, FetchError
from ingest.fetch import Fetcher, Page
from ingest.sources import Skipped, Source
from ingest.webpage import read_page
from ingest.worker import Workers

_RECENT = 2_000_000_000  # nanoseconds in which a file may change again under the same time stamp


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of a file.

    `documents` is None when there was nothing new to read: the file is as it was known, or, without
    a `record`, could not be opened for the reason in `skipped`.
    """

    name: str
    record: FileRecord | None
    documents: tuple[tuple[Document, list[Chunk]], ...] | None = None
    skipped: tuple[Skipped, ...] = ()


class Reader:
    """Reads files against what is known of them; several threads may use it.

    `retry` names files to read again although they gave nothing before; with passwords all such
    files are. A page that cannot be fetched stays as it was.
    """

    def __init__(
        self,
        known: Mapping[str, FileRecord],
        workers: Workers,
        *,
        fetcher: Fetcher,
        passwords: Sequence[str] = (),
        retry: Collection[str] = (),
    ) -> None:
        self._known = known
        self._workers = workers
        self._fetcher = fetcher
        self._passwords = passwords
        self._retry = retry

    def read(self, source: Source) -> Reading:
        """The documents of a file, or that it is as it was."""
        known = self._known.get(source.name)
        if known and known.skipped and (self._passwords or source.name in self._retry):
            known = None
        try:
            size, modified = _state(source)
            if known and modified and (size, modified) == (known.size, known.modified):
                return Reading(source.name, known, skipped=known.skipped)
            page = self._fetcher.fetch(source.name) if source.on_the_web else None
            data = source.read() if page is None else page.data
            size = size or len(data)
        except (OSError, FetchError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return Reading(source.name, None, skipped=(Skipped(source.name, reason),))
        digest = hashlib.sha256(data).hexdigest()
        if known and known.digest == digest:
            record = replace(known, size=size, modified=modified)
            return Reading(source.name, record, skipped=known.skipped)
        documents, skipped = self._documents(source, page or data)
        record = FileRecord(source.name, size, modified, digest, skipped)
        return Reading(source.name, record, documents, skipped)

    def _documents(
        self, source: Source, read: bytes | Page
    ) -> tuple[tuple[tuple[Document, list[Chunk]], ...], tuple[Skipped, ...]]:
        name, written = source.name, _written(source)
        documents: list[tuple[Document, list[Chunk]]] = []
        skipped: list[Skipped] = []
        try:
            found = self._opened(name, read, skipped.append)
            for document in found:
                document.text.encode()  # half of a surrogate pair cannot be stored
                document = replace(document, date=document.date or written)
                chunks = chunk(document)
                if chunks:
                    documents.append((document, chunks))
                else:
                    skipped.append(Skipped(document.source, "no text in it"))
        except ExtractError as error:
            skipped.append(Skipped(name, str(error)))
        except Exception as error:  # noqa: BLE001 - one bad file must not stop the rest
            reason = f"could not be read ({type(error).__name__}: {error})"
            return (), (*skipped, Skipped(name, reason))
        return tuple(documents), tuple(skipped)

    def _opened(
        self, name: str, read: bytes | Page, skip: Callable[[Skipped], None]
    ) -> list[Document]:
        if isinstance(read, Page):
            return [read_page(read, self._workers, passwords=self._passwords)]
        return self._workers.extract(read, name, self._passwords, skip=skip)


def _written(source: Source) -> str | None:
    """When a file was last written to, UTC; None of what is no file."""
    if source.path is None:
        return None
    stamp = source.path.stat().st_mtime
    return datetime.fromtimestamp(stamp, UTC).isoformat(timespec="seconds")


def _state(source: Source) -> tuple[int, int]:
    """A file's size in bytes and its time stamp in nanoseconds; 0 when too fresh to rely on.

    The stamp is that of the last change to the file's entry too: a copy that keeps the old time of
    modification is noticed.
    """
    if source.path is None:
        return len(source.data or b""), 0
    status = source.path.stat()
    modified = max(status.st_mtime_ns, status.st_ctime_ns)
    return status.st_size, modified if modified < time.time_ns() - _RECENT else 0
