"""The vector leg: nearest chunks by inner product, with FAISS.

One large immutable part, a file that is mapped and not read, and one small part in memory for what
came since; what was removed is masked. Both are derived from the catalogue's float16 vectors: a
missing, damaged or outdated file costs time, never an answer. Knows nothing of text.
"""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from ingest.catalog import Catalog
from ingest.disk import checksum, publish, write_text

MANIFEST = "vectors.json"
EXACT = 100_000  # up to this many vectors every one is compared; more are grouped into cells
_PROBES = 32  # cells visited when nothing is filtered out
_BLOCK = 50_000  # vectors read at once
_SLACK = 0.1  # share of outdated vectors from which the file is written anew


@dataclass(slots=True)
class _Part:
    """A FAISS index over positions, the chunk id at each (ascending), and which still count."""

    index: Any
    ids: NDArray[np.int64]
    alive: NDArray[np.bool_]


class VectorIndex:
    """The chunks' vectors of one catalogue; `refresh` first, then `search`."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self._folder = folder
        self.dimension = dimension
        self._generation = -1
        self._origin = ("", "")  # of what is held: the manifest and the encoder
        self._main = self._part(None, np.empty(0, np.int64))
        self._delta = self._part(None, np.empty(0, np.int64))

    def __len__(self) -> int:
        """How many chunks can be found."""
        return int(self._main.alive.sum() + self._delta.alive.sum())

    @property
    def filed(self) -> int:
        """How many vectors came out of the file; 0 when it is missing or cannot be trusted."""
        return len(self._main.ids)

    @property
    def outdated(self) -> bool:
        """Whether so much has changed since the file was written that it should be written anew."""
        changed = len(self._delta.ids) + int((~self._main.alive).sum())
        return changed > _SLACK * len(self)

    def refresh(self, catalog: Catalog) -> None:
        """Come level with a catalogue: take a new file, add new vectors, mask removed ones."""
        generation = catalog.generation
        if generation == self._generation:
            return
        self._generation = generation
        manifest = _read(self._folder / MANIFEST)
        origin = (manifest, catalog.meta("fingerprint"))
        if origin != self._origin:
            self._origin = origin
            self._main = self._load(manifest, catalog)
            self._delta = self._part(None, np.empty(0, np.int64))
        live = _expand(catalog.ranges())
        for part in (self._main, self._delta):
            part.alive = np.isin(part.ids, live, assume_unique=True)
        held = max([0, *self._main.ids[-1:], *self._delta.ids[-1:]])
        ids, vectors = _stored(catalog, int(held) + 1, self.dimension)
        if len(ids):
            self._delta.index.add(vectors)
            self._delta.ids = np.concatenate([self._delta.ids, ids])
            self._delta.alive = np.concatenate([self._delta.alive, np.ones(len(ids), bool)])

    def search(
        self, vector: NDArray[np.float32], k: int, *, allowed: list[int] | None = None
    ) -> list[tuple[int, float]]:
        """The `k` chunks nearest to a vector [d]: (id, inner product), best first."""
        query = np.ascontiguousarray(vector, np.float32).reshape(1, self.dimension)
        found: list[tuple[int, float]] = []
        for part in (self._main, self._delta):
            mask = part.alive
            if allowed is not None:
                mask = mask & np.isin(part.ids, np.asarray(allowed, np.int64), assume_unique=True)
            found.extend(_nearest(part, mask, query, k))
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))[:k]

    def write(self, catalog: Catalog) -> None:
        """Write the file anew from the catalogue, make it the one in use, and remove older ones."""
        _, vectors = _stored(catalog, 1, self.dimension)
        name = f"vectors-{catalog.generation}.faiss"
        temporary = self._folder / f"{name}.{os.getpid()}.tmp"
        faiss.write_index(_built(vectors), str(temporary))
        publish(temporary, self._folder / name)
        manifest = {
            "file": name,
            "sha256": checksum(self._folder / name),
            "identity": catalog.meta("identity"),
            "generation": catalog.generation,
            "fingerprint": catalog.meta("fingerprint"),
            "ranges": catalog.ranges(),
        }
        write_text(self._folder / MANIFEST, json.dumps(manifest))
        for path in self._folder.glob("vectors-*.faiss*"):
            if path.name != name:
                with suppress(OSError):  # in use, where that forbids removal: the next time, then
                    path.unlink()
        self._generation = -1
        self.refresh(catalog)

    def _load(self, manifest: str, catalog: Catalog) -> _Part:
        """The part in the file, or an empty one when the file cannot be trusted."""
        try:
            facts = json.loads(manifest)
            fits = (
                facts["identity"] == catalog.meta("identity")
                and facts["fingerprint"] == catalog.meta("fingerprint")
                and facts["generation"] <= catalog.generation
            )
            path = self._folder / Path(facts["file"]).name
            ids = _expand([(int(first), int(behind)) for first, behind in facts["ranges"]])
            if fits and checksum(path) == facts["sha256"]:
                # Before faiss 1.11 there is no mapping, and the file is read.
                index = faiss.read_index(str(path), getattr(faiss, "IO_FLAG_MMAP_IFC", 0))
                return self._part(index, ids)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            pass  # damaged or missing: the catalogue has it all
        return self._part(None, np.empty(0, np.int64))

    def _part(self, index: Any, ids: NDArray[np.int64]) -> _Part:
        return _Part(index or _exact(self.dimension), ids, np.ones(len(ids), bool))


def _exact(dimension: int) -> Any:
    """An empty index that compares every vector, in half precision as they are stored."""
    return faiss.IndexScalarQuantizer(
        dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )


def _built(vectors: NDArray[np.float32]) -> Any:
    count, dimension = vectors.shape
    if count <= EXACT:
        index = _exact(dimension)
    else:
        cells = int(4 * math.sqrt(count))
        index = faiss.index_factory(dimension, f"IVF{cells},SQfp16", faiss.METRIC_INNER_PRODUCT)
        index.train(vectors[:: max(1, count // (64 * cells))])
    if count:
        index.add(vectors)
    return index


def _nearest(
    part: _Part, mask: NDArray[np.bool_], query: NDArray[np.float32], k: int
) -> list[tuple[int, float]]:
    """The best of one part among the positions that a mask lets through."""
    count = int(mask.sum())
    if count == 0 or k < 1:
        return []
    bits = np.packbits(mask, bitorder="little")  # has to live as long as the selector
    selector = None if count == len(mask) else faiss.IDSelectorBitmap(bits)
    if isinstance(part.index, faiss.IndexIVF):
        # The fewer may be found, the more cells have to be looked into.
        probes = min(part.index.nlist, math.ceil(_PROBES * len(mask) / count))
        parameters = faiss.SearchParametersIVF(sel=selector, nprobe=probes)
    else:
        parameters = faiss.SearchParameters(sel=selector)
    scores, positions = part.index.search(query, min(k, count), params=parameters)
    return [
        (int(part.ids[position]), float(score))
        for position, score in zip(positions[0], scores[0], strict=True)
        if position >= 0
    ]


def _stored(
    catalog: Catalog, first: int, dimension: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The ids [n] and vectors [n, d] of all chunks from an id on."""
    ids: list[int] = []
    blocks = [np.empty((0, dimension), np.float32)]
    while True:
        found, blob = catalog.vectors_from(first, _BLOCK)
        if not found:
            return np.asarray(ids, np.int64), np.concatenate(blocks)
        ids += found
        blocks.append(np.frombuffer(blob, np.float16).reshape(-1, dimension).astype(np.float32))
        first = found[-1] + 1


def _expand(ranges: list[tuple[int, int]]) -> NDArray[np.int64]:
    """All ids of ascending ranges (first, behind the last)."""
    pieces = [np.arange(first, behind, dtype=np.int64) for first, behind in ranges]
    return np.concatenate([np.empty(0, np.int64), *pieces])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
