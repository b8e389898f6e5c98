"""Gives every chunk of a catalogue a new vector. Knows nothing of the index around it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ingest.catalog import Catalog
from ingest.encode import Encoder

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
        vectors = encoder.encode_documents([chunk.passage for chunk in chunks.values()])
        rows = [row.tobytes() for row in vectors.astype(np.float16)]
        catalog.keep_aside(dict(zip(chunks, rows, strict=True)))
        last = max(chunks)
        done += len(chunks)
        if progress is not None:
            progress(done, total)
    catalog.adopt(made_by)
    return total
