"""Text as it grows: paragraphs, headings and pages go in, exact offsets come out.

Every reader of a format writes into a Draft, so that offsets are right by construction. Knows
nothing of formats.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingest.decode import tidy
from ingest.document import Heading


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a file: its name there, and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """What a reader finds in one file: its text with pages and headings, and the files in it.

    `date` is when it says that it was written (ISO 8601); None when it does not.
    """

    text: str
    title: str | None = None
    pages: tuple[int, ...] = ()
    headings: tuple[Heading, ...] = ()
    members: tuple[Member, ...] = ()
    date: str | None = None


class Draft:
    """The text of one document while it is being written."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._fresh = True  # nothing written on this page yet
        self._pages: list[int] = []
        self._headings: list[Heading] = []

    def add(self, text: str, *, level: int = 0, gap: str = "\n\n") -> None:
        """Write a paragraph, `gap` after what is there; with a level above 0 it is a heading."""
        text = tidy(text).strip("\n")
        if level:
            text = " ".join(text.split())
        if not text.strip():
            return
        if not self._fresh:
            self._write(gap)
        if level:
            self._headings.append(Heading(self._length, level, text))
        self._write(text)
        self._fresh = False

    def page(self) -> None:
        """Begin the next page; what was written before the first call belongs to that page."""
        if self._pages:
            self._write("\f")
        self._pages.append(0 if not self._pages else self._length)
        self._fresh = True

    def content(
        self,
        *,
        title: str | None = None,
        members: tuple[Member, ...] = (),
        date: str | None = None,
    ) -> Content:
        """What was written, as a value."""
        title = " ".join(tidy(title or "").split()) or None
        headings = tuple(self._headings)
        return Content("".join(self._parts), title, tuple(self._pages), headings, members, date)

    def _write(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
