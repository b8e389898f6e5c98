"""Blocks of long prefixes on disk, so that a chat or a hot set of documents survives a restart.

One file a block, named by the tokens up to its end and the model, with a checksum: what is shared
in memory is shared here. A file that is damaged is dropped with a warning. Convolution rows are not
kept, since a continued prefix remakes them from its window. Never the only copy of anything.
"""

from __future__ import annotations

import logging
import os
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import torch
from torch import Tensor

from backbone.cache import Cache
from backbone.span import BLOCK

LIMIT = 4 * 2**30  # bytes of all files together
LEAST = 4  # blocks; a shorter prefix is sooner computed than worth a file
PENDING = 256  # blocks copied and not yet written; more are left out
MINUTE = 60  # files used in the same minute are equally old

SAMPLES, SAMPLE = 64, 65_536  # places in a file of weights that are read, and bytes at each
MAGIC = b"ragbone prefix 1"
SUM = 20  # bytes of a digest

_log = logging.getLogger(__name__)


class PrefixStore:
    """The files of one model's blocks in a folder that several models may share.

    `fingerprint` names the model: other weights never read its files. Over `limit` bytes the least
    recently used go, the ends of prefixes first. Writes on a thread of its own.
    """

    def __init__(self, folder: Path, cache: Cache, *, fingerprint: str, limit: int = LIMIT) -> None:
        self._folder = folder
        self._cache = cache
        self._fingerprint = blake2b(fingerprint.encode(), digest_size=SUM).digest()
        self._limit = limit
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="prefix-store")
        self._pending = 0
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.part"):
            left.unlink(missing_ok=True)
        self._known = {path.name for path in folder.glob("*.block")}

    def names(self, ids: Sequence[int]) -> list[str]:
        """The names of the blocks of a prefix, each from its tokens and the name before."""
        names, chain = [], self._fingerprint
        for depth, at in enumerate(range(0, len(ids), BLOCK)):
            tokens = array("q", ids[at : at + BLOCK]).tobytes()
            chain = blake2b(chain + tokens, digest_size=SUM).digest()
            names.append(f"{chain.hex()}-{depth}.block")
        return names

    def load(self, name: str, block: int) -> bool:
        """Fill a block with what is kept under a name; False when nothing is."""
        if name not in self._known:
            return False
        path = self._folder / name
        try:
            data = bytearray(path.read_bytes())
        except OSError:
            self._known.discard(name)
            return False
        places = self._places(block)
        dtype, shape = places[0].dtype, (len(places), *places[0].shape)
        head = len(MAGIC) + SUM
        size = len(places) * places[0].nbytes
        if data[:head] != MAGIC + _sum(data[head:]) or len(data) != head + size:
            _log.warning("%s is damaged and was dropped", path)
            self._drop(path)
            return False
        kept = torch.frombuffer(data, dtype=dtype, offset=head).view(shape)
        for place, values in zip(places, kept, strict=True):
            place.copy_(values)
        with suppress(OSError):
            os.utime(path)
        return True

    def save(self, ids: Sequence[int], blocks: Sequence[int]) -> None:
        """Keep the full blocks that hold the first of `ids`, if they are many; returns at once."""
        if len(blocks) < LEAST:
            return
        names = self.names(ids[: len(blocks) * BLOCK])
        for name, block in zip(names, blocks, strict=True):
            if name not in self._known and self._pending < PENDING:
                self._known.add(name)
                self._pending += 1
                payload = torch.stack([place.cpu() for place in self._places(block)])
                self._writer.submit(self._write, self._folder / name, payload)

    def close(self) -> None:
        """Wait until everything is written."""
        self._writer.shutdown()

    def _places(self, block: int) -> list[Tensor]:
        """Where a block lies in every layer."""
        return [s[block] for s in (*self._cache.keys.values(), *self._cache.values.values())]

    def _write(self, path: Path, payload: Tensor) -> None:
        try:
            data = payload.flatten().view(torch.uint8).numpy().tobytes()
            part = path.with_suffix(".part")
            part.write_bytes(MAGIC + _sum(data) + data)
            part.replace(path)
            self._make_room()
        except OSError as error:
            _log.warning("%s could not be written: %s", path, error)
            self._known.discard(path.name)
        finally:
            self._pending -= 1

    def _make_room(self) -> None:
        files = []
        for path in self._folder.glob("*.block"):
            with suppress(OSError):  # another process may have dropped it
                status = path.stat()
                depth = int(path.stem.rpartition("-")[2])
                files.append((status.st_mtime // MINUTE, -depth, status.st_size, path))
        total = sum(size for _, _, size, _ in files)
        for _, _, size, path in sorted(files):
            if total <= self._limit:
                break
            self._drop(path)
            total -= size

    def _drop(self, path: Path) -> None:
        self._known.discard(path.name)
        with suppress(OSError):
            path.unlink()


def fingerprint(folder: Path, dtype: torch.dtype) -> str:
    """What tells a model in a folder from others: its config, number format and some weights."""
    found = blake2b(f"{dtype} {BLOCK}".encode())
    found.update((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        found.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            for step in range(SAMPLES):
                file.seek(size * step // SAMPLES)
                found.update(file.read(SAMPLE))
    return found.hexdigest()


def _sum(data: bytes | bytearray) -> bytes:
    return blake2b(data, digest_size=SUM).digest()
