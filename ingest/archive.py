"""The files in an archive, read in memory: nothing is ever written to disk.

Limits what an archive may unpack to. Knows nothing of what the files hold.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import PurePosixPath

from ingest.draft import Member
from ingest.errors import ExtractError, PasswordNeeded
from ingest.sniff import DAMAGE, GZIP, TAR, ZIP

ARCHIVES = frozenset((ZIP, TAR, GZIP))
_LARGEST = 256 << 20  # bytes in one file
_TOTAL = 1 << 30  # bytes in an archive
_FILES = 10_000


def unpack(
    data: bytes, *, media_type: str, name: str, passwords: Sequence[str] = ()
) -> Iterator[Member]:
    """The files in it, in order, under names that cannot climb out of a folder.

    ExtractError when it is damaged or holds too much, PasswordNeeded when it is locked.
    """
    found = {ZIP: _unzip, TAR: _untar, GZIP: _gunzip}[media_type](data, name, passwords)
    total = 0
    try:
        for count, member in enumerate(found, 1):
            total += len(member.data)
            if count > _FILES or total > _TOTAL:
                raise ExtractError("holds more than 10,000 files or 1 GB; the rest is not read")
            yield Member(safe_name(member.name), member.data)
    except DAMAGE as error:
        raise ExtractError(f"a damaged or incomplete archive ({error})") from error


def safe_name(name: str) -> str:
    """A member's name as a plain relative path: no root, no drive, no steps upwards."""
    parts = name.replace("\\", "/").split("/")
    return "/".join(p for p in parts if p not in ("", ".", "..") and not p.endswith(":")) or "file"


def _hidden(name: str) -> bool:
    """Files that systems put into archives and users never see."""
    parts = PurePosixPath(name).parts
    return any(p == "__MACOSX" or (p.startswith(".") and p not in (".", "..")) for p in parts)


def _unzip(data: bytes, name: str, passwords: Sequence[str]) -> Iterator[Member]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        for entry in archive.infolist():
            if not entry.is_dir() and not _hidden(entry.filename):
                yield Member(entry.filename, _entry(archive, entry, passwords))


def _entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, passwords: Sequence[str]) -> bytes:
    locked = entry.flag_bits & 1
    for password in passwords if locked else (None,):
        try:
            with archive.open(entry, pwd=password.encode() if password else None) as stream:
                return _bounded(stream.read(_LARGEST + 1), entry.filename)
        except DAMAGE:  # a wrong password may look like damage
            if not locked:
                raise
    raise PasswordNeeded("encrypted: give a password that opens it with --password")


def _untar(data: bytes, name: str, passwords: Sequence[str]) -> Iterator[Member]:
    with tarfile.open(fileobj=BytesIO(data), mode="r:") as archive:
        for entry in archive:
            stream = archive.extractfile(entry) if entry.isfile() else None
            if stream is not None and not _hidden(entry.name):
                yield Member(entry.name, _bounded(stream.read(_LARGEST + 1), entry.name))


def _gunzip(data: bytes, name: str, passwords: Sequence[str]) -> Iterator[Member]:
    with gzip.GzipFile(fileobj=BytesIO(data)) as stream:
        content = _bounded(stream.read(_LARGEST + 1), name)
    if content[257:262] == b"ustar":
        yield from _untar(content, name, passwords)
    else:
        yield Member(PurePosixPath(name).stem or "file", content)


def _bounded(content: bytes, name: str) -> bytes:
    if len(content) > _LARGEST:
        raise ExtractError(f"{name} in it is larger than 256 MB")
    return content
