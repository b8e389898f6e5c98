"""Vectors that know their neighbours: within a document, of the built-in encoder, however made."""

from __future__ import annotations

import numpy as np

from ingest.context import in_context
from ingest.encode import load_encoder
from ingest.index import LocalIndex
from ingest.sync import sync
from tests.fakes import FakeEncoder

ENCODER = load_encoder("builtin")
ROWS = np.eye(4, 6, dtype=np.float32)


def test_each_passage_takes_the_mean_of_its_neighbours():
    mixed = in_context(ENCODER, ROWS, ["a", "a", "a", "b"])
    expected = np.array(
        [[1, 1, 0, 0, 0, 0], [0.5, 1, 0.5, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0]]
    )
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(mixed, expected, atol=1e-6)
    assert mixed.dtype == np.float32


def test_a_lone_passage_and_another_encoder_s_vectors_stay_as_they_are():
    np.testing.assert_array_equal(in_context(ENCODER, ROWS[:1], ["a"]), ROWS[:1])
    np.testing.assert_array_equal(in_context(FakeEncoder(), ROWS, ["a"] * 4), ROWS)


def test_a_passage_without_a_known_word_among_such_stays_near_nothing():
    nothing = np.zeros((3, 6), np.float32)
    np.testing.assert_array_equal(in_context(ENCODER, nothing, ["a"] * 3), nothing)


def vectors(index: LocalIndex) -> np.ndarray:
    _, joined = index._catalog.vectors_from(1, 10_000)
    return np.frombuffer(joined, np.float16).reshape(-1, ENCODER.dimension)


def test_an_index_encoded_anew_has_the_vectors_of_a_fresh_one(tmp_path, monkeypatch):
    for name in ("a.txt", "b.txt"):
        lines = (f"Paragraph {n} of {name} tells of rivers and of {n} bridges." for n in range(400))
        (tmp_path / name).write_text("\n\n".join(lines), encoding="utf-8")
    index = LocalIndex.open(tmp_path / ".rag", encoder=ENCODER)
    sync(index, [tmp_path], encoder=ENCODER, home=tmp_path)
    fresh = vectors(index)
    monkeypatch.setattr("ingest.reencode._BATCH", 7)  # so that documents are cut by batches
    index.reencode(ENCODER)
    np.testing.assert_array_equal(vectors(index), fresh)
    assert len(fresh) > 30
    index.close()
