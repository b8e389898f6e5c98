"""Gives every chunk of a catalogue a new vector. Knows nothing of the index around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ingest.catalog import Catalog
from ingest.context import in_context
from ingest.document import Chunk
from ingest.encode import Encoder, Vectors

_BATCH = 256  # chunks that are encoded and kept at once


def reencode(
    catalog: Catalog,
    encoder: Encoder,
    made_by: dict[str, str],
    progress: Callable[[int, int], None] | None,
) -> int:
    """Encode all chunks again; returns how many there are.

    The new vectors are kept beside the old ones until all are there, and then take their place in
    one transaction. So a run that was stopped changes nothing, and is continued by the next one.
    """
    total = sum(info.chunks for info in catalog.documents())
    done = total - catalog.unencoded_count(encoder.fingerprint)
    last = 0
    while chunks := catalog.unencoded(after=last, limit=_BATCH):
        vectors = _encoded(catalog, encoder, chunks)
        rows = [row.tobytes() for row in vectors.astype(np.float16)]
        catalog.keep_aside(dict(zip(chunks, rows, strict=True)))
        last = max(chunks)
        done += len(chunks)
        if progress is not None:
            progress(done, total)
    catalog.adopt(made_by)
    return total


def _encoded(catalog: Catalog, encoder: Encoder, chunks: Mapping[int, Chunk]) -> Vectors:
    """The vectors of chunks, ascending by id, beside neighbours that are not among them."""
    around = catalog.chunks([min(chunks) - 1, max(chunks) + 1])
    every = dict(sorted({**chunks, **around}.items()))
    vectors = encoder.encode_documents([chunk.passage for chunk in every.values()])
    vectors = in_context(encoder, vectors, [chunk.source for chunk in every.values()])
    return vectors[[number in chunks for number in every]]
