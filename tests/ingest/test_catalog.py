"""The catalogue: what was put in is read back, and every change is one transaction."""

import sqlite3

import pytest
from making import document, paragraphs

from ingest.catalog import NAME, Catalog, FileRecord
from ingest.document import Heading
from ingest.errors import IndexFault, IndexMissing, UnknownSource
from ingest.sources import Skipped
from ingest.where import Where

META = {"encoder": "fake", "fingerprint": "f", "dimension": "2", "chunker": "1"}


@pytest.fixture
def catalog(tmp_path):
    made = Catalog.create(tmp_path, META)
    yield made
    made.close()


def put(catalog, source, text, *, file=None, **facts):
    made = document(source, text, **facts)
    chunks = paragraphs(made)
    vectors = [bytes([i, 0, 0, 0]) for i in range(len(chunks))]
    catalog.add(made, chunks, vectors, file=file or source)
    return made


def all_chunks(catalog):
    return dict(catalog.chunks_from(1))


def test_a_document_comes_back_as_it_was(catalog):
    text = "Title\n\nübér 漢字 \0 😀\f\n\nSecond page"
    heads = (Heading(0, 1, "Title"),)
    made = put(catalog, "a.md", text, title="T", pages=(0, 17), headings=heads, media_type="x/y")
    assert catalog.document("a.md") == made
    info = catalog.documents()[0]
    assert (info.characters, info.chunks, info.pages, info.title) == (len(text), 3, 2, "T")
    for chunk in all_chunks(catalog).values():
        assert chunk.text == text[chunk.start : chunk.end] and chunk.heading == "Title"
    assert [chunk.page for chunk in all_chunks(catalog).values()] == [1, 1, 2]


def test_replacing_a_document_gives_new_ids_and_notes_the_old_ones(catalog):
    put(catalog, "a", "one\n\ntwo")
    put(catalog, "b", "three")
    before = catalog.generation
    put(catalog, "a", "four")
    assert catalog.generation == before + 1
    assert {i: c.text for i, c in all_chunks(catalog).items()} == {3: "three", 4: "four"}
    assert catalog.removed(before) == [1, 2] and catalog.removed(before + 1) == []
    assert catalog.ranges() == [(3, 5)]
    catalog.remove(["a"])
    put(catalog, "c", "five")
    assert list(all_chunks(catalog)) == [3, 5], "an id is never used twice"


def test_vectors_come_back_by_id_and_in_order(catalog):
    put(catalog, "a", "one\n\ntwo\n\nthree")
    assert catalog.vectors([3, 1, 99]) == {1: b"\0\0\0\0", 3: b"\2\0\0\0"}
    assert catalog.vectors_from(2, 10) == ([2, 3], b"\1\0\0\0\2\0\0\0")
    assert catalog.vectors_from(1, 2) == ([1, 2], b"\0\0\0\0\1\0\0\0")


def test_a_failed_change_changes_nothing(catalog):
    put(catalog, "a", "one\n\ntwo")
    before = (catalog.generation, all_chunks(catalog))
    made = document("a", "three\n\nfour")
    with pytest.raises(ValueError):
        catalog.add(made, paragraphs(made), [b"1234"], file="a")
    assert (catalog.generation, all_chunks(catalog)) == before


def test_files_remember_what_became_of_them(catalog):
    records = [
        FileRecord("z.zip", 10, 20, "d", (Skipped("z.zip!a", "why"), Skipped("z.zip!b", "so"))),
        FileRecord("a.txt", 1, 2, "e"),
    ]
    generation = catalog.generation
    for record in records:
        catalog.settle(record, None)
    assert catalog.files() == {record.name: record for record in records}
    assert catalog.generation == generation, "no document has changed"


def test_settling_a_file_removes_the_members_that_it_no_longer_has(catalog):
    for name in ("a", "b", "c"):
        put(catalog, f"z.zip!{name}", "text", file="z.zip")
    put(catalog, "z.zip!not", "a file of its own")
    assert catalog.settle(FileRecord("z.zip", 1, 1, "d"), {"z.zip!b"}) == ["z.zip!a", "z.zip!c"]
    assert catalog.members() == {"z.zip": ["z.zip!b"], "z.zip!not": ["z.zip!not"]}


def test_a_file_is_removed_with_its_members_and_what_was_known_of_it(catalog):
    put(catalog, "z.zip!a", "text", file="z.zip")
    catalog.settle(FileRecord("z.zip", 1, 1, "d"), None)
    assert catalog.remove(["z.zip", "unknown"]) == ["z.zip!a"]
    assert catalog.files() == {} and catalog.documents() == [] and all_chunks(catalog) == {}


def test_a_reader_keeps_its_snapshot_while_another_writes(catalog, tmp_path):
    put(catalog, "a", "one")
    reader = Catalog.open(tmp_path)
    with reader.snapshot():
        assert len(reader.documents()) == 1
        put(catalog, "b", "two")
        assert len(reader.documents()) == 1
    assert len(reader.documents()) == 2


def test_what_is_not_there_is_said(catalog, tmp_path):
    with pytest.raises(UnknownSource, match=r"'nothing\.txt'"):
        catalog.document("nothing.txt")
    with pytest.raises(IndexMissing, match="rag index"):
        Catalog.open(tmp_path / "nowhere")


def test_a_file_whose_creation_was_cut_short_is_no_index_and_can_be_made_one(tmp_path):
    (tmp_path / NAME).touch()
    with pytest.raises(IndexMissing):
        Catalog.open(tmp_path)
    assert Catalog.create(tmp_path, META).generation == 0


def test_creating_again_opens_what_is_there(catalog, tmp_path):
    put(catalog, "a", "one")
    other = Catalog.create(tmp_path, META | {"encoder": "other"})
    assert other.meta("encoder") == "fake" and len(other.documents()) == 1


def test_another_format_or_no_catalogue_at_all_is_refused(tmp_path):
    Catalog.create(tmp_path / "new", META).close()
    with sqlite3.connect(tmp_path / "new" / NAME) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    connection.close()
    with pytest.raises(IndexFault, match="format 99"):
        Catalog.open(tmp_path / "new")
    (tmp_path / NAME).write_bytes(b"this is no database, " * 100)
    with pytest.raises(IndexFault, match="damaged"):
        Catalog.open(tmp_path)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("source=docs/*.md", ["docs/a.md", "docs/deep/b.md"]),
        ("source!=docs/*", ["notes and more.txt", "x[1].pdf"]),
        ("source=x[1].pdf", ["x[1].pdf"]),
        ("media_type=application/*", ["x[1].pdf"]),
        ('source="notes and more.txt"', ["notes and more.txt"]),
        ("source=docs/* and media_type=text/markdown AND source != *deep*", ["docs/a.md"]),
        ("page=2", ["x[1].pdf"]),
        ("source=*.md and page>=1", []),
        ("page < 2 and source = x*", ["x[1].pdf"]),
    ],
)
def test_filters_let_through_what_they_say(catalog, where, expected):
    put(catalog, "docs/a.md", "one", media_type="text/markdown")
    put(catalog, "docs/deep/b.md", "two", media_type="text/markdown")
    put(catalog, "notes and more.txt", "three")
    put(catalog, "x[1].pdf", "four\n\n\f\n\nfive", media_type="application/pdf", pages=(0, 6))
    found = catalog.chunks(catalog.matching(Where.parse(where)))
    assert sorted({chunk.source for chunk in found.values()}) == expected


@pytest.mark.parametrize(
    "where", ["", "source", "source=", "sauce=a", "page=two", "page=-1", "source>a", "a and b"]
)
def test_a_bad_filter_is_refused_with_the_grammar(where):
    with pytest.raises(ValueError, match=r"source=docs/\*\.pdf and page>=3"):
        Where.parse(where)


def test_a_document_and_its_chunks_keep_their_dates(catalog):
    dates = {"date": "2024-03-31T10:00:00+00:00", "retrieved": "2026-01-02T03:04:05+00:00"}
    made = put(catalog, "https://example.org/a", "one\n\ntwo", **dates)
    assert catalog.document(made.source) == made
    info = catalog.documents()[0]
    assert (info.date, info.retrieved) == tuple(dates.values())
    chunks = [*all_chunks(catalog).values(), *catalog.chunks(all_chunks(catalog)).values()]
    assert {(c.date, c.retrieved, c.url) for c in chunks} == {(*dates.values(), made.source)}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("date>=2024", ["new", "spring", "summer"]),
        ("date<=2024", ["old", "spring", "summer"]),
        ("date=2024-03", ["spring"]),
        ("date>2024-03", ["new", "summer"]),
        ("date=2024-03-31", ["spring"]),
        ("date!=2024", ["new", "old"]),
        ("date>=2024-04 and date<2025", ["summer"]),
    ],
)
def test_filters_compare_dates_as_exactly_as_they_are_written(catalog, where, expected):
    dates = {"old": "1999", "spring": "2024-03-31T23:59:59+00:00", "summer": "2024-07-01"}
    for source, date in {**dates, "new": "2025-01-01", "undated": None}.items():
        put(catalog, source, "text", date=date)
    found = catalog.chunks(catalog.matching(Where.parse(where))).values()
    assert sorted(chunk.source for chunk in found) == expected


def test_a_filter_that_names_no_date_is_refused():
    with pytest.raises(ValueError, match="2024-03-31"):
        Where.parse("date>=yesterday")


def test_a_filter_takes_time_for_the_documents_and_passages_and_not_for_their_product(catalog):
    for number in range(600):
        put(catalog, f"{number}.txt", "one")
    steps = []
    connection = catalog._database._connection
    connection.set_progress_handler(lambda: steps.append(1) and None, 100)
    assert len(catalog.matching(Where.parse("source=5*.txt"))) == 111
    assert catalog.count(Where.parse("source=5*.txt")) == 111
    connection.set_progress_handler(None, 0)
    assert len(steps) * 100 < 100 * 600


def test_what_an_archive_held_is_forgotten_with_its_last_reading(catalog):
    record = FileRecord("z.zip", 1, 2, "d", ())
    for name in ("one", "two"):
        put(catalog, f"z.zip!{name}", "words", file="z.zip")
    catalog.settle(record, {"z.zip!one", "z.zip!two"})
    assert catalog.remove(["z.zip!one"]) == ["z.zip!one"]
    assert catalog.files() == {}
