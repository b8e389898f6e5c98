"""Paths, folders, patterns, URLs and standard input to what is behind them, each under its name.

Knows which files are never documents; opens none of them until asked.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO

from ingest.addresses import place_of
from ingest.errors import AddressRefused, UnknownSource

_NOT_DOCUMENTS = frozenset(("node_modules", "__pycache__", "__MACOSX"))
_INDEX_MARK = "catalog.sqlite"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
STDIN = "stdin"


@dataclass(frozen=True, slots=True)
class Source:
    """Something to read: its name (the identity of its document), and a file or bytes at hand.

    With neither it is a page of the web, and its name is the URL.
    """

    name: str
    path: Path | None = None
    data: bytes | None = None

    @property
    def on_the_web(self) -> bool:
        """Whether it has to be fetched."""
        return self.path is None and self.data is None

    def read(self) -> bytes:
        """Its bytes; OSError when the file cannot be read."""
        if self.data is not None:
            return self.data
        if self.path is None:
            raise ValueError(f"the source {self.name!r} is neither a file nor bytes")
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A source that gives no document, and why."""

    source: str
    reason: str


def find(
    roots: Sequence[str | Path],
    *,
    home: Path,
    ignore: Sequence[str] = (),
    stdin: BinaryIO | None = None,
    stdin_name: str = STDIN,
) -> Iterator[Source | Skipped]:
    """What is under some roots, each once: files, folders, patterns, URLs, and "-" for `stdin`.

    Folders are read to the bottom, in order of name. Left out are hidden names, index folders,
    `node_modules` and the like, and what matches a pattern in `ignore` (against the name or the
    source); a file named itself is always taken. Names are relative to `home` (see `source_name`).
    """
    seen: set[str] = set()
    for root in roots:
        if str(root) == "-":
            under = _stream(stdin, stdin_name)
        elif is_url(str(root)):
            under = iter([_page(str(root))])
        else:
            under = _under(str(root), home=home, ignore=ignore)
        for found in under:
            name = found.name if isinstance(found, Source) else found.source
            if name not in seen:
                seen.add(name)
                yield found


def missing(roots: Sequence[str | Path]) -> list[Skipped]:
    """The roots that have nothing behind them: no such path, or a pattern that fits none."""
    paths = [root for root in map(str, roots) if root != "-" and not is_url(root)]
    return [Skipped(root, _nothing_at(root)) for root in paths if not _behind(root)]


def is_url(root: str) -> bool:
    """Whether a root is an address and no path."""
    return _URL.match(root) is not None


def meant(name: str | Path, known: Sequence[str], *, home: Path) -> list[str]:
    """The sources, of those known, that a name means, or a path from the working directory.

    The name of an archive or a mail means what it holds. Raises UnknownSource.
    """
    for full in (str(name), source_name(name, home)):
        if found := [s for s in known if s == full or s.startswith(full + "!")]:
            return found
    near = get_close_matches(str(name), known, n=1)
    hint = f"did you mean {near[0]}?" if near else "`rag status` lists what is"
    raise UnknownSource(f"{name} is not in the index: {hint}")


def _page(url: str) -> Source | Skipped:
    try:
        return Source(place_of(url).url)
    except AddressRefused as error:
        return Skipped(url, str(error))


def source_name(path: str | Path, home: str | Path) -> str:
    """A path as the name of a document: relative when it lies under `home`, else absolute.

    Always with forward slashes and in Unicode NFC, so that an index may move between systems.
    Links in the folders on the way are followed; the last name stays as it is. A URL is named by
    itself, in its usual spelling and without its fragment.
    """
    if is_url(str(path)):
        found = _page(str(path))
        return found.name if isinstance(found, Source) else found.source
    full, base = Path(path).parent.resolve() / Path(path).name, Path(home).resolve()
    shown = full.relative_to(base) if full.is_relative_to(base) else full
    text = os.fsencode(shown.as_posix()).decode("utf-8", "replace")
    return unicodedata.normalize("NFC", text)


def _stream(stdin: BinaryIO | None, name: str) -> Iterator[Source | Skipped]:
    if stdin is None:
        raise ValueError('the root "-" needs stdin=…, a binary stream')
    yield Source(name, data=stdin.read())


def _under(root: str, *, home: Path, ignore: Sequence[str]) -> Iterator[Source | Skipped]:
    paths = _behind(root)
    for path in paths:
        yield from _at(path, home=home, ignore=ignore)
    if not paths:
        yield Skipped(root, _nothing_at(root))


def _nothing_at(root: str) -> str:
    return "no file matches this pattern" if glob.has_magic(root) else "no such file or folder"


def _behind(root: str) -> list[Path]:
    """The path itself, where it exists, or what fits it as a pattern."""
    path = Path(root).expanduser()
    if path.exists() or path.is_symlink():
        return [path]
    # pathlib's own glob has no patterns with a root, and takes hidden names
    return [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207


def _at(path: Path, *, home: Path, ignore: Sequence[str]) -> Iterator[Source | Skipped]:
    if path.is_dir():
        yield from _folder(path, home=home, ignore=ignore)
    else:
        yield _file(path, home)


def _folder(root: Path, *, home: Path, ignore: Sequence[str]) -> Iterator[Source | Skipped]:
    """Everything below a folder, sorted; links to folders are not followed (they may lead back)."""
    failed: list[Skipped] = []

    def note(error: OSError) -> None:
        failed.append(Skipped(source_name(error.filename, home), error.strerror or str(error)))

    for name, folders, files in os.walk(root, onerror=note):
        folder = Path(name)
        if _INDEX_MARK in files:
            folders.clear()
            continue
        folders[:] = sorted(f for f in folders if not _left_out(folder / f, home, ignore))
        for file in sorted(files):
            if not _left_out(folder / file, home, ignore):
                yield _file(folder / file, home)
    yield from failed


def _left_out(path: Path, home: Path, ignore: Sequence[str]) -> bool:
    if path.name.startswith(".") or path.name in _NOT_DOCUMENTS:
        return True
    names = (path.name, source_name(path, home)) if ignore else ()
    return any(fnmatch.fnmatch(name, pattern) for name in names for pattern in ignore)


def _file(path: Path, home: Path) -> Source | Skipped:
    name = source_name(path, home)
    if path.is_file():
        return Source(name, path=path.absolute())
    if not path.exists():
        return Skipped(name, "a link to nothing")
    return Skipped(name, "neither a file nor a folder")  # a pipe would keep its reader waiting
