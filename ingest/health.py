"""Whether an index is sound: looks at every part and mends nothing.

Each fault comes with the command that cures it. What the next command puts right by itself, such as
a derived part that a stopped run left behind, is only noted.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.catalog import Catalog
from ingest.derived import held
from ingest.disk import WriterLock
from ingest.errors import EncoderError, IndexMissing, IngestError
from ingest.sync import is_gone
from ingest.words import WordIndex

if TYPE_CHECKING:
    from ingest.encode import Encoder

MEND = "rag search anything"  # opens the derived parts, and builds again what is of no use
_NAMED = 5  # sources that a fault lists


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with an index, and the command, or the words, that say how to cure it."""

    what: str
    fix: str


@dataclass(slots=True)
class Health:
    """What was found out about an index. Sizes are bytes, by part."""

    folder: Path
    encoder: str = ""
    documents: int = 0
    chunks: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fault(self, what: str, fix: str) -> None:
        """Add a fault."""
        self.faults.append(Fault(what, fix))


def examine(folder: Path, *, load_encoder: Callable[[str], Encoder], named: bool = False) -> Health:
    """Look at the index in a folder; `load_encoder` gives an encoder by its name.

    With `named` the commands that cure faults name the folder, which they would not find without.
    """
    health = Health(folder, sizes=_sizes(folder))
    _look(health, folder, load_encoder)
    if named:
        option = f"--index {shlex.quote(str(folder))}"
        health.faults = [Fault(each.what, f"{each.fix} {option}") for each in health.faults]
    return health


def _look(health: Health, folder: Path, load_encoder: Callable[[str], Encoder]) -> None:
    anew = f"rm -r {shlex.quote(str(folder))} && rag index PATH"
    try:
        catalog = Catalog.open(folder)
    except IndexMissing as error:
        health.fault(str(error), "rag index PATH")
        return
    except IngestError as error:
        health.fault(str(error), anew)
        return
    try:
        if damage := catalog.check():
            health.fault(f"the catalogue is damaged: {damage[0]}", anew)
            return
        with catalog.snapshot():
            documents = catalog.documents()
            health.encoder = catalog.meta("encoder")
            health.documents = len(documents)
            health.chunks = sum(document.chunks for document in documents)
            _encoder(health, catalog, load_encoder)
            _sources(health, catalog, folder.parent)
            with _unwritten(health, folder) as quiet:
                if quiet and health.chunks:
                    _words(health, catalog)
                    _vectors(health, catalog)
    except IngestError as error:
        health.fault(str(error), anew)
    finally:
        catalog.close()


def _encoder(health: Health, catalog: Catalog, load: Callable[[str], Encoder]) -> None:
    try:
        encoder = load(health.encoder)
    except EncoderError as error:
        fix = "rag index --rebuild --encoder builtin"
        health.fault(f"the encoder of the index cannot be loaded: {error}", fix)
        return
    expected = (encoder.fingerprint, str(encoder.dimension))
    if (catalog.meta("fingerprint"), catalog.meta("dimension")) != expected:
        health.fault(
            f"the encoder {health.encoder!r} is not what it was when it made the index",
            f"rag index --rebuild --encoder {shlex.quote(health.encoder)}",
        )


def _sources(health: Health, catalog: Catalog, home: Path) -> None:
    """Compare the files that gave documents with what they are now."""
    known, missing, unread, changed = catalog.files(), [], 0, 0
    for file in catalog.members():
        record = known.get(file)
        if record is None or not record.modified:  # not a file, or too new to tell
            continue
        try:
            status = (home / file).stat()
        except OSError:
            if is_gone(home / file):
                missing.append(file)
            else:
                unread += 1
            continue
        changed += status.st_size != record.size or record.modified < status.st_mtime_ns
    if missing:
        named = " ".join(shlex.quote(file) for file in missing[:_NAMED])
        more = f" (and {len(missing) - _NAMED} more)" if len(missing) > _NAMED else ""
        health.fault(f"{len(missing)} source files are gone: {named}{more}", "rag index --prune")
    if unread:
        health.notes.append(f"{unread} source files cannot be read now, and were not looked at")
    if changed:
        health.notes.append(f"{changed} source files have changed since: rag index PATH reads them")


def _words(health: Health, catalog: Catalog) -> None:
    try:
        index = WordIndex.open(health.folder / "words")
    except IngestError as error:
        health.fault(str(error), MEND)
        return
    state = held(index, catalog)
    if state is None:
        health.fault("the word index belongs to another state of the catalogue", MEND)
    elif state[0] < catalog.generation:
        health.notes.append(f"the word index is behind; the next search ({MEND}) brings it level")
    elif len(index) != health.chunks:
        health.fault(
            f"the word index holds {len(index)} passages of {health.chunks}",
            f"rm -r {shlex.quote(str(health.folder / 'words'))} && {MEND}",
        )


def _vectors(health: Health, catalog: Catalog) -> None:
    from ingest.vectors import VectorIndex

    index = VectorIndex(health.folder, int(catalog.meta("dimension")))
    index.refresh(catalog)
    if not index.filed:
        health.fault("the file of vectors is missing, damaged or of another catalogue", MEND)
    elif index.outdated:
        health.notes.append(f"the file of vectors is behind; the next search ({MEND}) renews it")


@contextmanager
def _unwritten(health: Health, folder: Path) -> Iterator[bool]:
    """Keep writers out while the parts are compared; False, and a note, when one is at work."""
    lock = WriterLock(folder / "writer.lock")
    if not lock.attempt():
        health.notes.append(
            "the derived parts were not looked at: another process writes, or the folder is"
            " read-only"
        )
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes on disk of the catalogue, the vectors and the words."""
    sizes = {"catalogue": 0, "vectors": 0, "words": 0}
    for path in folder.rglob("*"):
        top = path.relative_to(folder).parts[0]
        part = next((part for part in ("vectors", "words") if top.startswith(part)), "catalogue")
        if path.is_file():
            sizes[part] += path.stat().st_size
    return sizes
