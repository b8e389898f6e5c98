"""Which files the server may be told to index: those inside the folders it was started with.

Every path is judged by where it really leads, so that neither `..` nor a link goes outside. Hidden
names are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.sources import Skipped, Source, find, source_name
from rag.server.errors import ApiError

MOST = 1000  # folders in one listing


@dataclass(frozen=True, slots=True)
class Listing:
    """The folders in a folder, and how many files it has itself."""

    folders: tuple[Path, ...]
    files: int


@dataclass(frozen=True, slots=True)
class Folders:
    """Some folders, by their real paths, and nothing outside them."""

    roots: tuple[Path, ...]

    def inside(self, name: str) -> Path:
        """The real path that an absolute one leads to. Raises ApiError outside, or for nothing."""
        if not Path(name).is_absolute():
            raise ApiError(
                400,
                f"{name} is no absolute path: send it whole, from the root of the file system on",
                code="not_absolute",
            )
        try:
            path = Path(name).resolve()
        except (OSError, ValueError, RuntimeError):  # a loop of links, a NUL
            path = Path()
        if not self._holds(path):
            raise ApiError(
                403,
                "only what lies in the folders that the server was started with can be indexed:"
                " rag serve --root DIR adds one",
                code="outside",
            )
        if not path.exists():
            raise ApiError(404, f"there is no file or folder {name}", code="not_found")
        return path

    def listing(self, folder: Path) -> Listing:
        """What a folder holds that can be indexed. Raises ApiError when it cannot be read."""
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            reason = error.strerror or str(error)
            raise ApiError(400, f"{folder} cannot be read: {reason}", code="unreadable") from None
        shown = [entry for entry in entries if not entry.name.startswith(".")]
        real = [entry for entry in shown if not entry.is_symlink()]
        folders = tuple(entry for entry in real if entry.is_dir())[:MOST]
        return Listing(folders, sum(entry.is_file() for entry in shown))

    def files(self, paths: Sequence[Path], *, home: Path) -> tuple[list[Path], list[Skipped]]:
        """All files at and under some paths by where they really lie, and what leads out."""
        files: dict[Path, None] = {}
        skipped: list[Skipped] = []
        for found in find(paths, home=home):
            if not isinstance(found, Source) or found.path is None:
                skipped += [found] if isinstance(found, Skipped) else []
            elif self._holds(path := found.path.resolve()):
                files[path] = None
            else:
                name = source_name(found.path, home)
                skipped.append(Skipped(name, "a link that leads out of the folder"))
        return list(files), skipped

    def _holds(self, path: Path) -> bool:
        return any(
            path.is_relative_to(root)
            and not any(part.startswith(".") for part in path.relative_to(root).parts)
            for root in self.roots
        )
