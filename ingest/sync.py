"""Brings an index level with the files and pages it was made from.

Unchanged files are not read again, edited ones replace their documents, and what cannot be read is
listed with its reason, in this run and in later ones. A document is committed as soon as it is
encoded, so stopping loses next to nothing. Knows nothing of formats or of an index's insides.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from ingest.ahead import ahead
from ingest.changes import Reader, Reading
from ingest.context import in_context
from ingest.document import Chunk, Document
from ingest.encode import Encoder
from ingest.fetch import Fetcher
from ingest.index import Index
from ingest.sources import STDIN, Skipped, Source, find, source_name
from ingest.worker import Workers

_BATCH = 64  # chunks from which on they are encoded and committed


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: the file last read, files read of how many, chunks written."""

    source: str
    done: int
    total: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did.

    The sources added, updated and removed, how many documents stayed as they were, what gave no
    document and why, the files under the roots that are gone while their documents stayed, the
    chunks written, and the seconds it took.
    """

    added: tuple[str, ...]
    updated: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int
    skipped: tuple[Skipped, ...]
    gone: tuple[str, ...]
    chunks: int
    seconds: float


def sync(
    index: Index,
    roots: Sequence[str | Path],
    *,
    encoder: Encoder,
    home: Path,
    prune: bool = False,
    passwords: Sequence[str] = (),
    ignore: Sequence[str] = (),
    fetcher: Fetcher | None = None,
    stdin: BinaryIO | None = None,
    stdin_name: str = STDIN,
    progress: Callable[[Progress], None] | None = None,
    workers: int | None = None,
) -> Report:
    """Index the files under some roots (see `ingest.sources.find`), as far as they have changed.

    Sources are named relative to `home`. With `prune`, documents are removed whose file lay under
    one of the roots, or anywhere when there is no root, and is gone. A file that was skipped before
    is read again only when it has changed, when passwords are given, or when a root names it.
    `fetcher` gets the pages of URLs; one that it cannot get stays as it is and is listed. `workers`
    is how many files are read at a time. Raises IndexLocked when another process is writing.
    """
    started = time.monotonic()
    found = list(find(roots, home=home, ignore=ignore, stdin=stdin, stdin_name=stdin_name))
    sources = [each for each in found if isinstance(each, Source)]
    threads = workers or min(4, os.cpu_count() or 1)
    with index.writing(), Workers(threads) as pool:
        run = _Run(index, encoder)
        run.skipped += [each for each in found if isinstance(each, Skipped)]
        named = {source_name(root, home) for root in roots}
        reader = Reader(
            run.files, pool, fetcher=fetcher or Fetcher(), passwords=passwords, retry=named
        )
        with closing(ahead(reader.read, sources, threads=threads)) as readings:
            for done, reading in enumerate(readings, 1):
                run.take(reading)
                if progress is not None:
                    progress(Progress(reading.name, done, len(sources), run.chunks))
        run.commit()
        # Without a time stamp it may be standard input under the name of a file.
        files = [n for n, record in run.files.items() if record.modified or (prune and roots)]
        names = {source.name for source in sources}
        run.lose(_vanished(files, names, roots, home), prune=prune)
    return run.report(time.monotonic() - started)


class _Run:
    """One run: takes what was read, encodes it in batches, commits it and keeps count."""

    def __init__(self, index: Index, encoder: Encoder) -> None:
        self._index = index
        self._encoder = encoder
        self._members = index.members()
        self._batch: list[Reading] = []
        self._waiting = 0  # chunks in the batch
        self.files = index.files()
        self.added: list[str] = []
        self.updated: list[str] = []
        self.removed: list[str] = []
        self.unchanged = 0
        self.skipped: list[Skipped] = []
        self.gone: list[str] = []
        self.chunks = 0

    def report(self, seconds: float) -> Report:
        """What was done so far."""
        return Report(
            tuple(self.added),
            tuple(self.updated),
            tuple(self.removed),
            self.unchanged,
            tuple(self.skipped),
            tuple(self.gone),
            self.chunks,
            seconds,
        )

    def take(self, reading: Reading) -> None:
        """Put a file's documents into the batch, or note that there is nothing to do."""
        self.skipped += reading.skipped
        if reading.documents is not None:
            self._batch.append(reading)
            self._waiting += sum(len(chunks) for _, chunks in reading.documents)
            if self._waiting >= _BATCH:
                self.commit()
            return
        self.unchanged += len(self._members.get(reading.name, ()))
        if reading.record is not None and reading.record != self.files.get(reading.name):
            self._index.settle(reading.record, None)

    def commit(self) -> None:
        """Encode what is in the batch and write it: a document, a transaction."""
        batch, self._batch, self._waiting = self._batch, [], 0
        fresh = [self._fresh(reading) for reading in batch]
        cut = [chunk for documents in fresh for _, chunks in documents for chunk in chunks]
        if cut:
            plain = self._encoder.encode_documents([chunk.passage for chunk in cut])
            vectors = in_context(self._encoder, plain, [chunk.source for chunk in cut])
        position = 0
        for reading, documents in zip(batch, fresh, strict=True):
            for document, chunks in documents:
                behind = position + len(chunks)
                self._index.add(document, chunks, vectors[position:behind], file=reading.name)
                self._count(document.source, reading.name, len(chunks))
                position = behind
            self._settle(reading)

    def lose(self, names: Iterable[str], *, prune: bool) -> None:
        """Remove the documents of files that are gone, or only note that they are."""
        if prune:
            self.removed += self._index.remove(names)
        else:
            self.gone += [name for name in names if name in self._members]

    def _fresh(self, reading: Reading) -> list[tuple[Document, list[Chunk]]]:
        """The documents of a file but for those that the index holds as they are."""
        documents = list(reading.documents or ())
        known = self.files.get(reading.name)
        if known is None or reading.record is None or known.digest != reading.record.digest:
            return documents
        held = set(self._members.get(reading.name, ()))
        fresh = [
            (document, chunks)
            for document, chunks in documents
            if document.source not in held or self._index.text(document.source) != document.text
        ]
        self.unchanged += len(documents) - len(fresh)
        return fresh

    def _count(self, source: str, file: str, chunks: int) -> None:
        old = source in self._members.get(file, ())
        (self.updated if old else self.added).append(source)
        self.chunks += chunks

    def _settle(self, reading: Reading) -> None:
        """Note the file as done. What it held before and does not hold now is removed."""
        if reading.record is not None:
            keep = {document.source for document, _ in reading.documents or ()}
            self.removed += self._index.settle(reading.record, keep)


def _vanished(
    files: Collection[str], found: Collection[str], roots: Sequence[str | Path], home: Path
) -> list[str]:
    """The files that lay under one of the roots, or anywhere without any, and are gone."""
    base = home.resolve()
    return [
        name
        for name in files
        if name not in found
        and name != STDIN
        and "://" not in name
        and is_gone(base / name)
        and (not roots or any(_under(base / name, str(root)) for root in roots))
    ]


def is_gone(path: Path) -> bool:
    """Whether there is no such file; one in a folder that may not be read is not gone."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _under(path: Path, root: str) -> bool:
    """Whether a root would have led to this file, had it been there."""
    folder = Path(root).expanduser()
    if folder.is_dir():
        return path.is_relative_to(folder.resolve())
    if path == folder.parent.resolve() / folder.name:
        return True
    return glob.has_magic(root) and fnmatchcase(str(path), str(folder.absolute()))
