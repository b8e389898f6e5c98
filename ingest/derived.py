"""Keeps the word index and the vectors level with the catalogue that they are derived from.

Each says which catalogue and which state of it it holds. Behind: caught up. Ahead, of another
catalogue, damaged or missing: built again. On disk only under the writer's lock; while another
process has that, this one makes do with what is there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.catalog import Catalog
from ingest.disk import WriterLock
from ingest.errors import IndexFault
from ingest.words import WordIndex

if TYPE_CHECKING:
    from ingest.vectors import VectorIndex


class Derived:
    """The derived parts of an index folder, opened when first asked for."""

    def __init__(self, folder: Path, catalog: Catalog, lock: WriterLock, *, threads: int) -> None:
        self._folder = folder
        self._catalog = catalog
        self._lock = lock
        self._threads = threads
        self._words: WordIndex | None = None
        self._vectors: VectorIndex | None = None

    def words(self) -> WordIndex:
        """The word index, level with the catalogue unless another process is writing."""
        if self._words is None or not self._level(self._words):
            self._words = self._leveled()
        return self._words

    def vectors(self) -> VectorIndex:
        """The vectors, level with the catalogue; the file is written anew when that is worth it."""
        dimension = int(self._catalog.meta("dimension"))
        if self._vectors is None or self._vectors.dimension != dimension:
            import faiss

            from ingest.vectors import VectorIndex

            faiss.omp_set_num_threads(self._threads)
            self._vectors = VectorIndex(self._folder, dimension)
        with self._catalog.snapshot():
            self._vectors.refresh(self._catalog)
        if self._vectors.outdated and self._lock.attempt():
            try:
                with self._catalog.snapshot():
                    self._vectors.write(self._catalog)
            finally:
                self._lock.release()
        return self._vectors

    def _leveled(self) -> WordIndex:
        index = self._on_disk()
        if index is not None and self._level(index):
            return index
        if self._lock.attempt():
            try:
                return self._mended(index)
            finally:
                self._lock.release()
        if index is None:  # another process is building it: until that is done, have our own
            own = self._words
            index = own if own is not None and own.in_memory else WordIndex.create(None)
            self._catch_up(index)
        return index

    def _on_disk(self) -> WordIndex | None:
        """The word index as it is on disk now, or None when that is missing or damaged."""
        try:
            if self._words is None or self._words.in_memory:
                return WordIndex.open(self._folder / "words")
            self._words.reload()
        except IndexFault:
            return None
        return self._words

    def _mended(self, index: WordIndex | None) -> WordIndex:
        """Bring the word index on disk level: caught up where it can be, else built again."""
        if index is not None and held(index, self._catalog) is not None:
            try:
                self._catch_up(index)
            except IndexFault:  # its folder was damaged or taken away while it was open
                index = None
        else:
            index = None
        if index is None:
            shutil.rmtree(self._folder / "words", ignore_errors=True)
            index = WordIndex.create(self._folder / "words")
            self._catch_up(index)
        self._catalog.forget_removed(self._catalog.generation)
        return index

    def _level(self, index: WordIndex) -> bool:
        state = held(index, self._catalog)
        return state is not None and state[0] == self._catalog.generation

    def _catch_up(self, index: WordIndex) -> None:
        with self._catalog.snapshot():
            generation, last = held(index, self._catalog) or (0, 0)
            ranges = self._catalog.ranges()
            mark = {
                "identity": self._catalog.meta("identity"),
                "generation": self._catalog.generation,
                "last": max(last, ranges[-1][1] - 1) if ranges else last,
            }
            index.update(
                ((i, chunk.passage) for i, chunk in self._catalog.chunks_from(last + 1)),
                (i for i in self._catalog.removed(generation) if i <= last),
                mark=json.dumps(mark),
            )


def held(index: WordIndex, catalog: Catalog) -> tuple[int, int] | None:
    """The generation and the last chunk that a word index holds; None when of no use here."""
    if not index.mark:
        return None
    mark = json.loads(index.mark)
    generation, last = int(mark["generation"]), int(mark["last"])
    fits = mark["identity"] == catalog.meta("identity") and generation <= catalog.generation
    return (generation, last) if fits else None
