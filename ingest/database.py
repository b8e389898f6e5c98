"""One SQLite file with transactions, whose failures are IndexFaults. Knows none of its tables."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ingest.errors import IndexFault


class Database:
    """An open file. Threads may share it, one at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    @classmethod
    def open(cls, path: Path) -> Database:
        """The database in a file, made when absent. Raises IndexFault when that fails."""
        # Where nothing may be written and no log was left behind, no one changes the file.
        log = path.with_name(f"{path.name}-wal")
        frozen = path.exists() and not os.access(path.parent, os.W_OK) and not log.exists()
        uri = f"file:{quote(str(path.absolute()))}{'?immutable=1' if frozen else ''}"
        try:
            connection = sqlite3.connect(
                uri, uri=True, timeout=30, isolation_level=None, check_same_thread=False
            )
        except sqlite3.OperationalError as error:
            raise IndexFault(f"cannot open {path}: {error}") from error
        database = cls(connection, path)
        try:
            # With the write-ahead log this survives a kill at any moment, without waiting for the
            # disk at every transaction.
            database.rows("PRAGMA synchronous = NORMAL")
        except IndexFault:
            connection.close()
            raise
        return database

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run one statement; its rows."""
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._fault(error) from error

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of parameters."""
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.DatabaseError as error:
            raise self._fault(error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the statements inside, or none."""
        self.rows("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        self.rows("COMMIT")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """One committed state for all reading inside, whatever a writer does meanwhile."""
        self.rows("BEGIN")
        try:
            yield
        finally:
            self._connection.rollback()  # nothing was written

    def _fault(self, error: sqlite3.DatabaseError) -> IndexFault:
        return IndexFault(
            f"the catalogue {self._path} failed: {error}. If it is damaged, restore it from a "
            "copy, or remove its folder and run `rag index` again"
        )
