"""The index: documents in, hits out. A catalogue, and a word index and vectors derived from it.

Knows nothing of how files become text and text becomes vectors, or of how the scores of the two
legs are best joined.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from ingest.catalog import Catalog, DocumentInfo, FileRecord
from ingest.derived import Derived
from ingest.disk import WriterLock
from ingest.document import Chunk, Document, Hit
from ingest.errors import EncoderMismatch
from ingest.where import Where
from ingest.words import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingest.encode import Encoder

Mode = Literal["hybrid", "vector", "words"]

CHUNKER = "1"  # of the rules that cut documents into chunks
_PENDING = 5_000  # chunks after which a writer brings the word index level
_WAIT = 5.0  # seconds that a writer waits for another one


class Index(Protocol):
    """Where documents are kept and found again: what `sync` and retrieval need of an index."""

    @property
    def generation(self) -> int:
        """How many changes have been committed."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Keep other writers out for a number of changes. Raises IndexLocked."""
        ...

    def add(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        vectors: NDArray[np.floating],
        *,
        file: str | None = None,
    ) -> None:
        """Put in a document with its chunks and their vectors [n, d]; replaces the same source."""
        ...

    def remove(self, names: Iterable[str]) -> list[str]:
        """Take out documents, named by source or by file; returns the sources that were there."""
        ...

    def settle(self, record: FileRecord, keep: Collection[str] | None) -> list[str]:
        """Note what became of a file, and remove its documents but for `keep` (None keeps all)."""
        ...

    def files(self) -> dict[str, FileRecord]:
        """What is known of each file that was read, by its name."""
        ...

    def members(self) -> dict[str, list[str]]:
        """The sources of the documents that each file gave, by the file's name."""
        ...

    def search(
        self,
        text: str,
        vector: NDArray[np.floating] | None,
        *,
        k: int,
        mode: Mode = "hybrid",
        where: str | None = None,
    ) -> list[Hit]:
        """The best `k` chunks of each leg that the mode asks for."""
        ...

    def idf(self, terms: Sequence[str]) -> dict[str, float]:
        """How rare each term of `ingest.words.words` is in the index."""
        ...

    def documents(self) -> list[DocumentInfo]:
        """All documents, by source."""
        ...

    def count(self, where: str | None = None) -> int:
        """How many documents a filter lets through."""
        ...

    def document(self, source: str) -> Document:
        """A document as it was added. Raises UnknownSource."""
        ...

    def text(self, source: str) -> str:
        """The text of a document, which all offsets refer to. Raises UnknownSource."""
        ...

    def close(self) -> None:
        """Let go of the index's files."""
        ...


class LocalIndex:
    """An index in a folder of this machine. Threads may share it; they take turns."""

    def __init__(self, folder: Path, catalog: Catalog, *, threads: int) -> None:
        self._folder = folder
        self._catalog = catalog
        self._fingerprint = catalog.meta("fingerprint")
        self._dimension = int(catalog.meta("dimension"))
        self._lock = WriterLock(folder / "writer.lock")
        self._derived = Derived(folder, catalog, self._lock, threads=threads)
        self._turn = threading.RLock()
        self._pending = 0  # chunks added since the derived parts were level
        self._changed = False  # since they were level

    @classmethod
    def open(
        cls, folder: Path, *, encoder: Encoder | None, create: bool = True, threads: int = 1
    ) -> LocalIndex:
        """The index in a folder, made when absent if `create`; `threads` are FAISS's.

        Without an encoder an existing index can be looked at and documents be removed. Raises
        IndexMissing, EncoderMismatch, or IndexFault when the catalogue cannot be read.
        """
        if create and encoder is not None:
            catalog = Catalog.create(folder, _made_by(encoder))
        else:
            catalog = Catalog.open(folder)
        index = cls(folder, catalog, threads=threads)
        if encoder is not None:
            try:
                index.check(encoder)
            except EncoderMismatch:
                index.close()
                raise
        return index

    @property
    def generation(self) -> int:
        """How many changes have been committed, by this process or another."""
        with self._turn:
            return self._catalog.generation

    @property
    def encoder(self) -> str:
        """The name of the encoder that made the index."""
        return self._catalog.meta("encoder")

    def check(self, encoder: Encoder) -> None:
        """Raise EncoderMismatch when another encoder than this one made the index."""
        expected = _made_by(encoder)
        if all(self._catalog.meta(key) == expected[key] for key in ("fingerprint", "dimension")):
            return
        if self.encoder == encoder.name:
            raise EncoderMismatch(
                f"the encoder {encoder.name!r} has changed since it made the index in "
                f"{self._folder}: run `rag index --rebuild` to encode the documents again"
            )
        raise EncoderMismatch(
            f"the index in {self._folder} was made by the encoder {self.encoder!r}, not by "
            f"{encoder.name!r}: add `--encoder {self.encoder}` to the command, or run "
            f"`rag index --rebuild --encoder {encoder.name}` to encode the documents again"
        )

    def documents(self) -> list[DocumentInfo]:
        """All documents, by source."""
        with self._turn:
            return self._catalog.documents()

    def count(self, where: str | None = None) -> int:
        """How many documents a filter lets through; all of them without one."""
        condition = Where.parse(where) if where is not None else None
        with self._turn:
            return self._catalog.count(condition)

    def document(self, source: str) -> Document:
        """A document as it was added. Raises UnknownSource."""
        with self._turn:
            return self._catalog.document(source)

    def text(self, source: str) -> str:
        """The text of a document, which all offsets refer to. Raises UnknownSource."""
        return self.document(source).text

    def files(self) -> dict[str, FileRecord]:
        """What is known of each file that was read, by its name."""
        with self._turn:
            return self._catalog.files()

    def members(self) -> dict[str, list[str]]:
        """The sources of the documents that each file gave, by the file's name."""
        with self._turn:
            return self._catalog.members()

    def idf(self, terms: Sequence[str]) -> dict[str, float]:
        """How rare each term of `ingest.words.words` is in the index."""
        with self._turn:
            return self._derived.words().idf(terms)

    # Writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep other writers out for a number of changes; at the end all parts are level."""
        with self._turn:
            self._lock.acquire(wait=_WAIT)
        try:
            yield
        finally:
            with self._turn:
                try:
                    self._level()
                finally:
                    self._lock.release()

    def add(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        vectors: NDArray[np.floating],
        *,
        file: str | None = None,
    ) -> None:
        """Put in a document with its chunks and their vectors [n, d]; replaces the same source.

        One transaction, committed on return. `file` names the file it was read from when that is
        not its source. Raises ValueError when chunks or vectors do not fit, and IndexLocked.
        """
        rows = self._stored(document, chunks, vectors)
        with self._change():
            self._catalog.add(document, chunks, rows, file=file or document.source)
            self._pending += len(chunks)

    def remove(self, names: Iterable[str]) -> list[str]:
        """Take out documents, named by source or by file; returns the sources that were there."""
        with self._change():
            return self._catalog.remove(names)

    def settle(self, record: FileRecord, keep: Collection[str] | None) -> list[str]:
        """Note what became of a file, and remove its documents but for `keep` (None keeps all)."""
        with self._change():
            return self._catalog.settle(record, keep)

    def reencode(
        self, encoder: Encoder, *, progress: Callable[[int, int], None] | None = None
    ) -> int:
        """Give every chunk a vector by another encoder, in one step; returns how many there are.

        A run that was stopped is continued by the next. `progress` is told how many of how many
        are done. Threads that share this index wait.
        """
        from ingest.reencode import reencode

        with self._turn, self.writing():
            self._changed = True
            count = reencode(self._catalog, encoder, _made_by(encoder), progress)
            self._fingerprint, self._dimension = encoder.fingerprint, encoder.dimension
        return count

    def close(self) -> None:
        """Close the files, with the derived parts level if this process changed anything."""
        with self._turn:
            if self._changed and self._lock.attempt():
                try:
                    self._level()
                finally:
                    self._lock.release()
            self._catalog.close()

    @contextmanager
    def _change(self) -> Iterator[None]:
        """One change. The derived parts follow later, in larger steps."""
        with self._turn:
            self._lock.acquire(wait=_WAIT)
            try:
                if not self._changed and self._catalog.generation:
                    # Whether a derived part is ahead of the catalogue (which was restored, or lost
                    # its last changes in a power failure) shows only before that moves on.
                    self._derived.words()
                self._changed = True
                self._refuse_another_encoder()
                yield
                if self._pending >= _PENDING:
                    self._derived.words()
                    self._pending = 0
            finally:
                self._lock.release()

    def _refuse_another_encoder(self) -> None:
        if self._catalog.meta("fingerprint") != self._fingerprint:
            raise EncoderMismatch(
                f"the index in {self._folder} has been encoded again, by {self.encoder!r}: open it "
                "again with that encoder"
            )

    def _level(self) -> None:
        if self._changed:
            self._derived.words()
            self._derived.vectors()
            self._changed = False
            self._pending = 0

    def _stored(
        self, document: Document, chunks: Sequence[Chunk], vectors: NDArray[np.floating]
    ) -> list[bytes]:
        """The vectors as the catalogue keeps them, once everything is found to fit together."""
        import numpy as np

        shape = (len(chunks), self._dimension)
        if vectors.shape != shape or not np.isfinite(vectors).all():
            raise ValueError(
                f"{document.source}: {shape[0]} chunks need finite vectors of shape {shape}, "
                f"and got {vectors.shape}"
            )
        for chunk in chunks:
            span = document.text[chunk.start : chunk.end]
            if chunk.source != document.source or chunk.text != span:
                raise ValueError(
                    f"{document.source}: the chunk at {chunk.start} is no part of this document"
                )
        return [row.tobytes() for row in vectors.astype(np.float16)]

    # Searching

    def search(
        self,
        text: str,
        vector: NDArray[np.floating] | None,
        *,
        k: int,
        mode: Mode = "hybrid",
        where: str | None = None,
    ) -> list[Hit]:
        """The best `k` chunks of each leg, every one with its words score, cosine and coverage.

        `vector` [d] is the encoded question; without it only words are looked at. In the modes
        "words" and "vector" hits come best first and `score` is that leg's; "hybrid" returns the
        union of both legs (up to 2k hits) with score 0, to be ranked by the caller. `where` is a
        filter such as `source=docs/*.pdf and page>=3` (ValueError tells the grammar).
        """
        if mode == "vector" and vector is None:
            raise ValueError("mode 'vector' needs the vector of the question")
        condition = Where.parse(where) if where is not None else None
        with self._turn:
            if vector is not None:
                self._refuse_another_encoder()
            by_words = self._derived.words()
            by_vector = self._derived.vectors() if mode != "words" and vector is not None else None
            with self._catalog.snapshot():
                allowed = self._catalog.matching(condition) if condition else None
                scores: dict[int, float] = {}
                ids: dict[int, None] = {}
                if mode != "vector":
                    scores = dict(by_words.search(text, k, allowed=allowed))
                    ids |= dict.fromkeys(scores)
                if by_vector is not None and vector is not None:
                    by_vector.refresh(self._catalog)
                    near = by_vector.search(vector, k, allowed=allowed)
                    ids |= dict.fromkeys(i for i, _ in near)
                if mode == "hybrid" and (more := ids.keys() - scores.keys()):
                    scores |= by_words.search(text, len(more), allowed=more)
                rarity = by_words.idf(words(text))
                hits = self._hits(list(ids), scores, vector, rarity)
        if mode == "hybrid":
            return hits
        scored = [replace(hit, score=hit.words if mode == "words" else hit.vector) for hit in hits]
        return sorted(scored, key=lambda hit: -hit.score)

    def _hits(
        self,
        ids: list[int],
        scores: dict[int, float],
        vector: NDArray[np.floating] | None,
        rarity: dict[str, float],
    ) -> list[Hit]:
        """Hits for chunk ids, in their order; those that were removed meanwhile are left out."""
        chunks = self._catalog.chunks(ids)
        cosines = self._cosines(ids, vector)
        return [
            Hit(
                chunks[i],
                score=0.0,
                words=scores.get(i, 0.0),
                vector=cosines.get(i, 0.0),
                coverage=coverage(rarity, chunks[i]),
            )
            for i in ids
            if i in chunks
        ]

    def _cosines(self, ids: list[int], vector: NDArray[np.floating] | None) -> dict[int, float]:
        if vector is None:
            return {}
        import numpy as np

        return {
            i: float(np.frombuffer(stored, np.float16).astype(np.float32) @ vector)
            for i, stored in self._catalog.vectors(ids).items()
        }


def coverage(rarity: Mapping[str, float], chunk: Chunk) -> float:
    """The share (0..1) of the question's idf mass whose terms a chunk holds."""
    mass = sum(rarity.values())
    held = rarity.keys() & set(words(chunk.passage))
    return sum(rarity[term] for term in held) / mass if mass else 0.0


def _made_by(encoder: Encoder) -> dict[str, str]:
    return {
        "encoder": encoder.name,
        "fingerprint": encoder.fingerprint,
        "dimension": str(encoder.dimension),
        "chunker": CHUNKER,
    }
