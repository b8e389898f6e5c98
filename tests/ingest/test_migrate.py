"""Catalogues of older formats: all that was in them is there afterwards, or they are as before."""

import sqlite3

import pytest
from making import document, paragraphs

from ingest.catalog import FORMAT, NAME, Catalog
from ingest.database import Database
from ingest.errors import IndexFault

META = {"encoder": "fake", "fingerprint": "f", "dimension": "2", "chunker": "1"}
# What format 1 had in place of today's table of documents.
FORMAT_1 = """
CREATE TABLE old (
    id INTEGER PRIMARY KEY AUTOINCREMENT, first INTEGER NOT NULL, chunks INTEGER NOT NULL,
    source TEXT NOT NULL UNIQUE, file TEXT NOT NULL, digest TEXT NOT NULL,
    media_type TEXT NOT NULL, title TEXT, indexed_at TEXT NOT NULL, characters INTEGER NOT NULL,
    page_count INTEGER NOT NULL, pages TEXT NOT NULL, headings TEXT NOT NULL, text TEXT NOT NULL
);
INSERT INTO old SELECT id, first, chunks, source, file, digest, media_type, title, indexed_at,
    characters, page_count, pages, headings, text FROM documents;
DROP TABLE documents;
ALTER TABLE old RENAME TO documents;
CREATE INDEX documents_by_file ON documents (file);
CREATE INDEX documents_by_chunk ON documents (first, chunks);
UPDATE meta SET value = '1' WHERE key = 'format';
"""


@pytest.fixture
def old(tmp_path):
    """A folder with a catalogue of format 1, and the documents and chunks that are in it."""
    catalog = Catalog.create(tmp_path, META)
    for source, text in (("a.md", "one\n\ntwo"), ("gone.md", "away"), ("b.md", "three\f\n\nfour")):
        made = document(source, text, title="T", pages=(0,))
        chunks = paragraphs(made)
        catalog.add(
            made, chunks, [bytes([len(text), i, 0, 0]) for i in range(len(chunks))], file=source
        )
    catalog.remove(["gone.md"])
    held = contents(catalog)
    catalog.close()
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.executescript(FORMAT_1)
    connection.close()
    return tmp_path, held


def contents(catalog):
    chunks = dict(catalog.chunks_from(1))
    documents = [catalog.document(info.source) for info in catalog.documents()]
    return documents, chunks, catalog.vectors(chunks), catalog.generation, catalog.removed(0)


def test_a_catalogue_of_format_1_is_brought_up_with_all_that_is_in_it(old):
    folder, held = old
    catalog = Catalog.open(folder)
    assert catalog.meta("format") == str(FORMAT)
    assert contents(catalog) == held
    new = document("c.md", "five", date="2024-05-01")
    catalog.add(new, paragraphs(new), [b"0000"], file="c.md")
    assert max(dict(catalog.chunks_from(1))) == 1 + max(max(held[1]), *held[4])  # no id comes twice
    assert catalog.document("c.md").date == "2024-05-01"
    catalog.close()


def test_a_migration_that_is_stopped_leaves_the_old_catalogue(old, monkeypatch):
    folder, held = old
    real = Database.rows

    def failing(self, sql, parameters=()):
        if "RENAME" in sql:
            raise IndexFault("stopped")
        return real(self, sql, parameters)

    monkeypatch.setattr(Database, "rows", failing)
    with pytest.raises(IndexFault, match="stopped"):
        Catalog.open(folder)
    monkeypatch.undo()
    with sqlite3.connect(folder / NAME) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone() == (
            "1",
        )
    connection.close()
    catalog = Catalog.open(folder)
    assert contents(catalog) == held
    catalog.close()
