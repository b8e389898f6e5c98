"""The catalogue: what is in the index, in one SQLite file. Everything else is derived from it.

A document's text is stored once and a chunk is a span of it; vectors are opaque bytes here. Every
change is one transaction that raises the generation, so that a kill leaves the last committed state
and readers see that something moved. Knows nothing of words, neighbours or models.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.database import Database
from ingest.document import Chunk, Document, Heading
from ingest.errors import IndexFault, IndexMissing, UnknownSource
from ingest.migrate import OLDER, migrate
from ingest.sources import Skipped
from ingest.where import Where

FORMAT = 2  # of the tables below; raise it with every change to them
NAME = "catalog.sqlite"
_ABOUT = "source, date, retrieved, text"  # of a chunk's document
_BATCH = 500  # parameters in one statement

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    name TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, digest TEXT NOT NULL,
    skipped TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, first INTEGER NOT NULL, chunks INTEGER NOT NULL,
    source TEXT NOT NULL UNIQUE, file TEXT NOT NULL, digest TEXT NOT NULL,
    media_type TEXT NOT NULL, title TEXT, date TEXT, retrieved TEXT, indexed_at TEXT NOT NULL,
    characters INTEGER NOT NULL,
    page_count INTEGER NOT NULL, pages TEXT NOT NULL, headings TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX documents_by_file ON documents (file);
CREATE INDEX documents_by_chunk ON documents (first, chunks);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL, start INTEGER NOT NULL,
    end INTEGER NOT NULL, page INTEGER, heading TEXT, vector BLOB NOT NULL
);
CREATE TABLE fresh (chunk INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE TABLE removed (generation INTEGER NOT NULL, first INTEGER NOT NULL, chunks INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """What the index knows of a document without its text. `indexed_at` is ISO 8601, UTC.

    `date` and `retrieved` are the document's own (see `Document`).
    """

    source: str
    digest: str
    media_type: str
    title: str | None
    characters: int
    chunks: int
    pages: int
    indexed_at: str
    date: str | None = None
    retrieved: str | None = None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What became of a file when it was last read, and its state then.

    `name` is the file's source, `modified` a time stamp of its state in nanoseconds (0 = not to be
    relied on), `digest` the SHA-256 of its bytes, `skipped` what in it gave no document, and why.
    """

    name: str
    size: int
    modified: int
    digest: str
    skipped: tuple[Skipped, ...] = ()


class Catalog:
    """One open catalogue. Not for several threads at once: its owner takes turns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Opening

    @classmethod
    def open(cls, folder: Path) -> Catalog:
        """The catalogue in a folder. Raises IndexMissing, or IndexFault when it cannot be read."""
        path = folder / NAME
        if not path.exists():
            raise _missing(folder)
        catalog = cls(Database.open(path))
        if not catalog._database.rows("SELECT 1 FROM sqlite_master WHERE name = 'meta'"):
            catalog.close()  # a first run was killed before it had committed anything
            raise _missing(folder)
        found = catalog.meta("format")
        if found in OLDER:
            migrate(catalog._database)
        elif found != str(FORMAT):
            catalog.close()
            raise IndexFault(
                f"the index in {folder} has format {found} and this version reads {FORMAT}: "
                "install the version that made it, or remove the folder and run `rag index` again"
            )
        return catalog

    @classmethod
    def create(cls, folder: Path, meta: dict[str, str]) -> Catalog:
        """The catalogue in a folder, made empty and with `meta` when it is not there yet."""
        folder.mkdir(parents=True, exist_ok=True)
        catalog = cls(Database.open(folder / NAME))
        catalog._database.rows("PRAGMA journal_mode = WAL")
        with catalog._database.transaction():
            if not catalog._database.rows("SELECT 1 FROM sqlite_master WHERE name = 'meta'"):
                for statement in _SCHEMA.split(";"):
                    catalog._database.rows(statement)
                first = {"format": str(FORMAT), "identity": uuid.uuid4().hex, "generation": "0"}
                catalog._write_meta(first | meta)
        catalog.close()
        return cls.open(folder)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # Reading

    def check(self) -> list[str]:
        """What SQLite finds damaged in the file; empty when it is sound. Reads all of it."""
        found = [str(row[0]) for row in self._database.rows("PRAGMA quick_check(5)")]
        return [] if found == ["ok"] else found

    def snapshot(self) -> AbstractContextManager[None]:
        """See one committed state for as long as it is open, whatever a writer does meanwhile."""
        return self._database.snapshot()

    def meta(self, key: str) -> str:
        """One of the facts about the index: format, identity, generation, encoder, …"""
        rows = self._database.rows("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else ""

    @property
    def generation(self) -> int:
        """How many changes have been committed."""
        return int(self.meta("generation"))

    def documents(self) -> list[DocumentInfo]:
        """All documents, by source."""
        columns = (
            "source, digest, media_type, title, characters, chunks, page_count, indexed_at, date, "
            "retrieved"
        )
        return [
            DocumentInfo(*row)
            for row in self._database.rows(f"SELECT {columns} FROM documents ORDER BY source")
        ]

    def document(self, source: str) -> Document:
        """A document as it was added. Raises UnknownSource when there is none of that name."""
        columns = "source, text, digest, media_type, title, pages, headings, date, retrieved"
        rows = self._database.rows(f"SELECT {columns} FROM documents WHERE source = ?", (source,))
        if not rows:
            raise UnknownSource(f"the index holds no document {source!r}: `rag status` lists them")
        source, text, digest, media_type, title, pages, headings, date, retrieved = rows[0]
        return Document(
            *(source, text, digest, media_type, title, tuple(json.loads(pages))),
            headings=tuple(Heading(*heading) for heading in json.loads(headings)),
            date=date,
            retrieved=retrieved,
        )

    def files(self) -> dict[str, FileRecord]:
        """What is known of each file that was read, by its name."""
        rows = self._database.rows("SELECT name, size, modified, digest, skipped FROM files")
        return {
            name: FileRecord(name, size, modified, digest, _skips(skipped))
            for name, size, modified, digest, skipped in rows
        }

    def members(self) -> dict[str, list[str]]:
        """The sources of the documents that each file gave, by the file's name."""
        found: dict[str, list[str]] = {}
        for file, source in self._database.rows(
            "SELECT file, source FROM documents ORDER BY source"
        ):
            found.setdefault(file, []).append(source)
        return found

    def ranges(self) -> list[tuple[int, int]]:
        """The ids of all chunks, ascending, as joined ranges (first, behind the last)."""
        joined: list[tuple[int, int]] = []
        sql = "SELECT first, first + chunks FROM documents WHERE chunks > 0 ORDER BY first"
        for first, behind in self._database.rows(sql):
            if joined and joined[-1][1] == first:
                joined[-1] = (joined[-1][0], behind)
            else:
                joined.append((first, behind))
        return joined

    def matching(self, where: Where) -> list[int]:
        """The ids of the chunks that a filter lets through, ascending."""
        sql = (
            "SELECT c.id FROM documents d CROSS JOIN chunks c "  # a scan of documents
            "ON c.id >= d.first AND c.id < d.first + d.chunks "
            f"WHERE {where.sql} ORDER BY c.id"
        )
        return [row[0] for row in self._database.rows(sql, where.parameters)]

    def count(self, where: Where | None) -> int:
        """How many documents a filter lets through, in a passage at least; None: all there are."""
        if where is None:
            return int(self._database.rows("SELECT count(*) FROM documents")[0][0])
        sql = (
            "SELECT count(DISTINCT d.id) FROM documents d CROSS JOIN chunks c "
            f"ON c.id >= d.first AND c.id < d.first + d.chunks WHERE {where.sql}"
        )
        return int(self._database.rows(sql, where.parameters)[0][0])

    def chunks(self, ids: Collection[int]) -> dict[int, Chunk]:
        """The chunks of these ids; those that are gone are left out."""
        columns = "c.id, c.document, c.start, c.end, c.page, c.heading"
        rows = [
            row
            for marks, batch in _batches(ids)
            for row in self._database.rows(
                f"SELECT {columns} FROM chunks c WHERE c.id IN ({marks})", batch
            )
        ]
        documents = {
            row[0]: row[1:]
            for marks, batch in _batches({row[1] for row in rows})
            for row in self._database.rows(
                f"SELECT id, {_ABOUT} FROM documents WHERE id IN ({marks})", batch
            )
        }
        return {row[0]: _chunk(row[2:], documents[row[1]]) for row in rows}

    def chunks_from(self, first: int) -> Iterator[tuple[int, Chunk]]:
        """All chunks with an id of at least `first`, ascending, read a document at a time."""
        documents = self._database.rows(
            "SELECT id, first, chunks FROM documents WHERE first + chunks > ? ORDER BY first",
            (first,),
        )
        for document, start, count in documents:
            about = self._database.rows(
                f"SELECT {_ABOUT} FROM documents WHERE id = ?", (document,)
            )[0]
            sql = "SELECT id, start, end, page, heading FROM chunks WHERE id >= ? AND id < ?"
            for row in self._database.rows(sql, (max(first, start), start + count)):
                yield row[0], _chunk(row[1:], about)

    def vectors(self, ids: Collection[int]) -> dict[int, bytes]:
        """The stored vectors of these chunks; those that are gone are left out."""
        return {
            chunk: vector
            for marks, batch in _batches(ids)
            for chunk, vector in self._database.rows(
                f"SELECT id, vector FROM chunks WHERE id IN ({marks})", batch
            )
        }

    def vectors_from(self, first: int, limit: int) -> tuple[list[int], bytes]:
        """The ids, ascending, and the joined vectors of up to `limit` chunks from an id on."""
        sql = "SELECT id, vector FROM chunks WHERE id >= ? ORDER BY id LIMIT ?"
        rows = self._database.rows(sql, (first, limit))
        return [row[0] for row in rows], b"".join(row[1] for row in rows)

    def removed(self, since: int) -> list[int]:
        """The ids of the chunks that were removed in generations after `since`."""
        rows = self._database.rows(
            "SELECT first, chunks FROM removed WHERE generation > ?", (since,)
        )
        return [chunk for first, count in rows for chunk in range(first, first + count)]

    # Writing: one transaction each

    def add(
        self, document: Document, chunks: Sequence[Chunk], vectors: Sequence[bytes], *, file: str
    ) -> None:
        """Put a document in, in place of the one of that source; `file` is what it came from."""
        with self._database.transaction():
            self._drop([document.source], self._raise_generation())
            first = self._database.rows("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'")
            start = int(first[0][0]) + 1 if first else 1
            headings = [(h.start, h.level, h.text) for h in document.headings]
            row = (
                *(start, len(chunks), document.source, file, document.digest),
                *(document.media_type, document.title, document.date, document.retrieved),
                *(datetime.now(UTC).isoformat(timespec="seconds"), len(document.text)),
                *(len(document.pages), json.dumps(document.pages), json.dumps(headings)),
                document.text,
            )
            self._database.rows(f"INSERT INTO documents VALUES (NULL{', ?' * len(row)})", row)
            number = self._database.rows("SELECT last_insert_rowid()")[0][0]
            rows = [
                (start + i, number, chunk.start, chunk.end, chunk.page, chunk.heading, vector)
                for i, (chunk, vector) in enumerate(zip(chunks, vectors, strict=True))
            ]
            self._database.many("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def remove(self, names: Iterable[str]) -> list[str]:
        """Take documents out, named by source or by file; returns the sources that were there."""
        pairs = [(name, name) for name in names]
        with self._database.transaction():
            self._database.many(
                "DELETE FROM files WHERE name = ? "
                "OR name IN (SELECT file FROM documents WHERE source = ?)",
                pairs,
            )
            sql = "SELECT source FROM documents WHERE source = ? OR file = ? ORDER BY source"
            sources = [row[0] for pair in pairs for row in self._database.rows(sql, pair)]
            return self._drop(sources, self._raise_generation()) if sources else []

    def settle(self, record: FileRecord, keep: Collection[str] | None) -> list[str]:
        """Note what became of a file, and remove its documents but for `keep` (None keeps all)."""
        skipped = json.dumps([(each.source, each.reason) for each in record.skipped])
        row = (record.name, record.size, record.modified, record.digest, skipped)
        with self._database.transaction():
            self._database.rows("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", row)
            found = self._database.rows(
                "SELECT source FROM documents WHERE file = ?", (record.name,)
            )
            sources = [] if keep is None else [row[0] for row in found if row[0] not in keep]
            return self._drop(sources, self._raise_generation()) if sources else []

    def forget_removed(self, until: int) -> None:
        """Drop the notes of removals up to a generation, once nothing derived needs them."""
        with self._database.transaction():
            self._database.rows("DELETE FROM removed WHERE generation <= ?", (until,))

    # Encoding again: new vectors are kept aside until all are there, over several runs if need be

    def unencoded_count(self, fingerprint: str) -> int:
        """How many chunks have no new vector by an encoder yet; others' new vectors are dropped."""
        if self.meta("fresh") != fingerprint:
            with self._database.transaction():
                self._database.rows("DELETE FROM fresh")
                self._write_meta({"fresh": fingerprint})
        sql = "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk FROM fresh)"
        return int(self._database.rows(sql)[0][0])

    def unencoded(self, *, after: int, limit: int) -> dict[int, Chunk]:
        """Up to `limit` chunks behind an id that have no new vector yet, in order."""
        sql = (
            "SELECT id FROM chunks WHERE id > ? AND id NOT IN (SELECT chunk FROM fresh) "
            "ORDER BY id LIMIT ?"
        )
        return self.chunks([row[0] for row in self._database.rows(sql, (after, limit))])

    def keep_aside(self, vectors: Mapping[int, bytes]) -> None:
        """Note the new vectors of some chunks."""
        with self._database.transaction():
            sql = "INSERT OR REPLACE INTO fresh VALUES (?, ?)"
            self._database.many(sql, list(vectors.items()))

    def adopt(self, made_by: Mapping[str, str]) -> None:
        """Put the new vectors, of all chunks, in place of the old, and note what made them."""
        with self._database.transaction():
            sql = "UPDATE chunks SET vector = (SELECT vector FROM fresh WHERE chunk = chunks.id)"
            self._database.rows(sql)
            self._database.rows("DELETE FROM fresh")
            self._write_meta({**made_by, "fresh": ""})
            self._raise_generation()

    def _drop(self, sources: Iterable[str], generation: int) -> list[str]:
        gone = []
        for source in sources:
            rows = self._database.rows(
                "SELECT id, first, chunks FROM documents WHERE source = ?", (source,)
            )
            for document, first, count in rows:
                self._database.rows(
                    "DELETE FROM chunks WHERE id >= ? AND id < ?", (first, first + count)
                )
                self._database.rows("DELETE FROM documents WHERE id = ?", (document,))
                self._database.rows(
                    "INSERT INTO removed VALUES (?, ?, ?)", (generation, first, count)
                )
                gone.append(source)
        return gone

    def _raise_generation(self) -> int:
        generation = self.generation + 1
        self._write_meta({"generation": str(generation)})
        return generation

    def _write_meta(self, values: Mapping[str, str]) -> None:
        self._database.many("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(values.items()))


def _missing(folder: Path) -> IndexMissing:
    return IndexMissing(f"there is no index in {folder}: make one with `rag index PATH`")


def _chunk(row: Sequence[Any], about: Sequence[Any]) -> Chunk:
    (start, end, page, heading), (source, date, retrieved, text) = row, about
    return Chunk(source, start, end, text[start:end], page, heading, date, retrieved)


def _skips(stored: str) -> tuple[Skipped, ...]:
    return tuple(Skipped(source, reason) for source, reason in json.loads(stored))


def _batches(ids: Collection[int]) -> Iterator[tuple[str, list[int]]]:
    """Pieces of a list of ids that fit one statement, each with its question marks."""
    ordered = sorted(ids)
    for i in range(0, len(ordered), _BATCH):
        batch = ordered[i : i + _BATCH]
        yield ",".join("?" * len(batch)), batch
