"""A file's bytes to Documents: what it is, who reads it, and what is inside it.

Text is read here; formats with a parser are read in a worker process. Knows nothing of disks.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ingest import sniff
from ingest.archive import ARCHIVES, safe_name, unpack
from ingest.decode import decode
from ingest.document import Document
from ingest.draft import Content, Member
from ingest.errors import ExtractError
from ingest.parse import text_reader
from ingest.sources import Skipped
from ingest.worker import Workers

_LARGEST = 256 << 20  # bytes; the largest file that is read
_LARGEST_TEXT = 100 << 20
_DEEPEST = 5  # archives in archives, attachments of attachments


def extract(
    data: bytes,
    *,
    name: str,
    passwords: Sequence[str] = (),
    workers: Workers | None = None,
    skip: Callable[[Skipped], None] | None = None,
) -> list[Document]:
    """The documents in a file: one, or several when it is an archive or has attachments.

    `name` becomes the source; a file inside has the source `outer!inner` and the outer file's
    digest. What inside cannot be read is told to `skip`. Raises ExtractError (PasswordNeeded when
    it is locked) when nothing can be read at all. Without `workers` it starts its own, if needed.
    """
    with contextlib.ExitStack() as stack:
        reader = _Reader(
            digest=hashlib.sha256(data).hexdigest(),
            passwords=passwords,
            workers=workers or stack.enter_context(Workers()),
        )
        documents: list[Document] = []
        skipped: list[Skipped] = []
        for found in reader.open(Member(name, data)):
            if isinstance(found, Document):
                documents.append(found)
            else:
                skipped.append(found)
    if not documents:
        if not skipped:
            raise ExtractError("empty")
        inner = skipped[0].source.removeprefix(f"{name}!")
        raise ExtractError(f"nothing readable in it ({inner}: {skipped[0].reason})")
    if skip is not None:
        for each in skipped:
            skip(each)
    return documents


@dataclass(frozen=True, slots=True)
class _Reader:
    """Opens a file and what is in it, depth first."""

    digest: str
    passwords: Sequence[str]
    workers: Workers

    def open(self, file: Member, depth: int = 0) -> Iterator[Document | Skipped]:
        """What is in a file; ExtractError when the file itself cannot be read."""
        if not file.data:
            raise ExtractError("empty")
        if len(file.data) > _LARGEST:
            raise ExtractError("larger than 256 MB")
        name = file.name.rpartition("!")[2]
        kind = sniff.media_type(file.data, name)
        if kind in ARCHIVES:
            if depth == _DEEPEST:
                raise ExtractError(f"archives in archives are opened {_DEEPEST} deep at most")
            members = unpack(file.data, media_type=kind, name=name, passwords=self.passwords)
            yield from self._members(file, members, depth)
            return
        content = self._content(file.data, kind, name)
        if content.text.strip():
            yield self._document(file.name, kind, content)
        elif not content.members:
            raise ExtractError("no text in it")
        if depth < _DEEPEST:
            for found in self._members(file, content.members, depth):
                yield _dated(found, content.date)

    def _members(
        self, outer: Member, members: Iterable[Member], depth: int
    ) -> Iterator[Document | Skipped]:
        """What is in the files inside a file; what one of them lacks is no matter to the others."""
        opened = False
        try:
            for member in members:
                source = f"{outer.name}!{safe_name(member.name)}"
                try:
                    yield from self.open(Member(source, member.data), depth + 1)
                except ExtractError as error:
                    yield Skipped(source, str(error))
                opened = True
        except ExtractError as error:  # of the archive, from here on
            if not opened:
                raise
            yield Skipped(outer.name, str(error))

    def _content(self, data: bytes, kind: str, name: str) -> Content:
        if (read := text_reader(kind)) is None:
            return self.workers.parse(data, media_type=kind, name=name, passwords=self.passwords)
        if len(data) > _LARGEST_TEXT:
            raise ExtractError("a text larger than 100 MB")
        return read(decode(data))  # here, since it costs little and cannot crash

    def _document(self, source: str, kind: str, content: Content) -> Document:
        return Document(
            source=source,
            text=content.text,
            digest=self.digest,
            media_type=kind,
            title=content.title,
            pages=content.pages,
            headings=content.headings,
            date=content.date,
        )


def _dated(found: Document | Skipped, date: str | None) -> Document | Skipped:
    """A file that came with a mail has the mail's date, unless it says its own."""
    if date is None or isinstance(found, Skipped) or found.date is not None:
        return found
    return replace(found, date=date)
