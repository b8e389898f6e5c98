"""Which index is meant where none is named: the nearest one, upwards from the working directory."""

from __future__ import annotations

from pathlib import Path

from ingest.errors import IndexMissing

INDEX_FOLDER = ".rag"


def nearest_index(*, create: bool) -> Path:
    """`.rag` in the working directory or the nearest folder above that has one.

    Where none has, the one to be made here with `create`, else IndexMissing.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / INDEX_FOLDER).is_dir():
            return folder / INDEX_FOLDER
    if create:
        return here / INDEX_FOLDER
    raise IndexMissing(
        f"there is no {INDEX_FOLDER} in {here} or above: make an index with `rag index PATH`, "
        "or name one with --index DIR"
    )
