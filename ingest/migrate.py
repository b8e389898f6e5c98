"""Catalogues of older formats, brought to the present one in a single transaction.

Knows how the tables were; the present ones are the catalogue's.
"""

from __future__ import annotations

from ingest.database import Database

OLDER = frozenset(("1",))  # formats that can be migrated

# Format 2 gave documents their dates. Columns behind a long text are slow to read, so the table is
# written anew, with its ids as they were.
_FROM_1 = """
CREATE TABLE dated (
    id INTEGER PRIMARY KEY AUTOINCREMENT, first INTEGER NOT NULL, chunks INTEGER NOT NULL,
    source TEXT NOT NULL UNIQUE, file TEXT NOT NULL, digest TEXT NOT NULL,
    media_type TEXT NOT NULL, title TEXT, date TEXT, retrieved TEXT, indexed_at TEXT NOT NULL,
    characters INTEGER NOT NULL,
    page_count INTEGER NOT NULL, pages TEXT NOT NULL, headings TEXT NOT NULL, text TEXT NOT NULL
);
INSERT INTO dated SELECT id, first, chunks, source, file, digest, media_type, title, NULL, NULL,
    indexed_at, characters, page_count, pages, headings, text FROM documents;
DELETE FROM sqlite_sequence WHERE name = 'dated';
INSERT INTO sqlite_sequence SELECT 'dated', seq FROM sqlite_sequence WHERE name = 'documents';
DROP TABLE documents;
ALTER TABLE dated RENAME TO documents;
CREATE INDEX documents_by_file ON documents (file);
CREATE INDEX documents_by_chunk ON documents (first, chunks);
UPDATE meta SET value = '2' WHERE key = 'format'
"""


def migrate(database: Database) -> None:
    """Bring a catalogue of format 1 to format 2; nothing of it is lost, however it ends."""
    with database.transaction():
        found = database.rows("SELECT value FROM meta WHERE key = 'format'")[0][0]
        if found in OLDER:  # another process may have come first
            for statement in _FROM_1.split(";"):
                database.rows(statement)
