"""The vectors: as good as comparing them all, whatever happened to the file."""

import faiss
import numpy as np
import pytest
from making import document

import ingest.vectors
from ingest.catalog import Catalog
from ingest.document import Chunk
from ingest.vectors import MANIFEST, VectorIndex

D = 32
RNG = np.random.default_rng(5)


@pytest.fixture
def catalog(tmp_path):
    made = Catalog.create(tmp_path, {"dimension": str(D)})
    yield made
    made.close()


def put(catalog, source, count):
    text = "x" * count
    vectors = RNG.standard_normal((count, D))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [row.tobytes() for row in vectors.astype(np.float16)]
    chunks = [Chunk(source, i, i + 1, "x") for i in range(count)]
    catalog.add(document(source, text), chunks, rows, file=source)


def brute_force(catalog, query, k, allowed=None):
    ids, blob = catalog.vectors_from(1, 10**9)
    scores = np.frombuffer(blob, np.float16).reshape(-1, D).astype(np.float32) @ query
    pairs = [
        (i, float(s)) for i, s in zip(ids, scores, strict=True) if allowed is None or i in allowed
    ]
    return sorted(pairs, key=lambda hit: (-hit[1], hit[0]))[:k]


def agrees(index, catalog, allowed=None, within=1e-4):
    index.refresh(catalog)
    for query in RNG.standard_normal((5, D)).astype(np.float32):
        found = index.search(query, 10, allowed=allowed)
        expected = brute_force(catalog, query, 10, allowed and set(allowed))
        assert [i for i, _ in found] == [i for i, _ in expected]
        assert [s for _, s in found] == pytest.approx([s for _, s in expected], abs=within)
    return True


def test_faiss_gives_what_comparing_everything_gives(catalog, tmp_path):
    put(catalog, "a", 300)
    index = VectorIndex(tmp_path, D)
    assert agrees(index, catalog) and len(index) == 300
    index.write(catalog)
    assert agrees(index, catalog)
    assert agrees(index, catalog, allowed=list(range(7, 40)))
    assert index.search(np.ones(D, np.float32), 5, allowed=[]) == []


def test_what_came_after_the_file_is_found_and_what_went_is_not(catalog, tmp_path):
    for source, count in (("a", 50), ("b", 60), ("c", 70)):
        put(catalog, source, count)
    index = VectorIndex(tmp_path, D)
    index.refresh(catalog)
    index.write(catalog)
    put(catalog, "b", 20)  # replaces
    put(catalog, "d", 30)
    assert agrees(index, catalog) and len(index) == 50 + 70 + 20 + 30
    catalog.remove(["a", "d"])
    assert agrees(index, catalog) and len(index) == 90
    assert agrees(index, catalog, allowed=list(range(100, 220)))
    other = VectorIndex(tmp_path, D)
    assert agrees(other, catalog) and len(other) == 90


def test_the_file_is_called_outdated_when_a_tenth_has_changed(catalog, tmp_path):
    put(catalog, "a", 100)
    index = VectorIndex(tmp_path, D)
    index.refresh(catalog)
    assert index.outdated
    index.write(catalog)
    assert not index.outdated
    put(catalog, "b", 5)
    index.refresh(catalog)
    assert not index.outdated
    put(catalog, "b", 9)
    index.refresh(catalog)
    assert index.outdated


def test_writing_leaves_one_file_and_readers_of_the_old_one_go_on(catalog, tmp_path):
    put(catalog, "a", 50)
    writer, reader = VectorIndex(tmp_path, D), VectorIndex(tmp_path, D)
    writer.refresh(catalog)
    writer.write(catalog)
    assert agrees(reader, catalog)
    old = reader.search(np.ones(D, np.float32), 3)
    put(catalog, "b", 50)
    writer.refresh(catalog)
    writer.write(catalog)
    assert [p.name for p in tmp_path.glob("vectors-*")] == [f"vectors-{catalog.generation}.faiss"]
    assert reader.search(np.ones(D, np.float32), 3) == old
    assert agrees(reader, catalog)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        flip,
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: path.with_name(MANIFEST).unlink(),
        lambda path: path.with_name(MANIFEST).write_text("{"),
        lambda path: path.with_name(MANIFEST).write_text("[]"),
        lambda path: path.with_name(MANIFEST).write_bytes(b"\xff\xfe"),
    ],
)
def test_a_damaged_or_missing_file_is_not_used(catalog, tmp_path, damage):
    put(catalog, "a", 100)
    index = VectorIndex(tmp_path, D)
    index.refresh(catalog)
    index.write(catalog)
    damage(next(tmp_path.glob("vectors-*.faiss")))
    again = VectorIndex(tmp_path, D)
    assert agrees(again, catalog) and again.outdated
    again.write(catalog)
    third = VectorIndex(tmp_path, D)
    assert agrees(third, catalog) and not third.outdated


def test_a_file_of_another_catalogue_is_not_used(catalog, tmp_path):
    put(catalog, "a", 40)
    index = VectorIndex(tmp_path, D)
    index.refresh(catalog)
    index.write(catalog)
    other = Catalog.create(tmp_path / "other", {"dimension": str(D)})
    put(other, "a", 40)
    for path in tmp_path.glob("vectors*"):
        path.rename(tmp_path / "other" / path.name)
    assert agrees(VectorIndex(tmp_path / "other", D), other)
    other.close()


def test_many_vectors_are_grouped_and_nearly_all_neighbours_found(catalog, tmp_path, monkeypatch):
    monkeypatch.setattr(ingest.vectors, "EXACT", 1000)
    put(catalog, "a", 4000)
    index = VectorIndex(tmp_path, D)
    index.refresh(catalog)
    index.write(catalog)
    put(catalog, "b", 50)
    index.refresh(catalog)
    assert isinstance(index._main.index, faiss.IndexIVF)
    found = expected = 0
    for query in RNG.standard_normal((20, D)).astype(np.float32):
        best = {i for i, _ in brute_force(catalog, query, 10)}
        expected += len(best)
        found += len(best & {i for i, _ in index.search(query, 10)})
    assert found > 0.6 * expected  # random vectors have no clusters: the hardest case
    few = list(range(5, 60))  # so few that all cells are looked at
    assert agrees(index, catalog, allowed=few, within=1e-3)


def test_an_empty_index_finds_nothing(catalog, tmp_path):
    index = VectorIndex(tmp_path, D)
    index.refresh(catalog)
    assert index.search(np.ones(D, np.float32), 5) == [] and not index.outdated
