"""HTML as text: what a browser would show, with headings, lists and tables, and nothing hidden.

Takes decoded text. Knows nothing of files, encodings or where a page came from.
"""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from typing import NamedTuple

from ingest import tables
from ingest.dates import iso_date
from ingest.draft import Content, Draft
from ingest.unseen import UNSEEN, hides, hiding_classes, is_anchor, is_around, sets_ground

_VOID = frozenset(
    str.split("area base br col embed hr img input link meta param source track wbr frame")
)
_BLOCK = frozenset(
    str.split(
        "address article aside blockquote body caption center dd details dialog div dl dt fieldset "
        "figcaption figure footer form header hgroup hr html legend li main menu ol option p pre "
        "search section summary table tbody td tfoot th thead title tr ul h1 h2 h3 h4 h5 h6"
    )
)
# An opening tag ends these when they are still open: their closing tags may be left out.
_ENDS = {
    "li": frozenset(("li", "p")),
    "dt": frozenset(("dt", "dd", "p")),
    "dd": frozenset(("dt", "dd", "p")),
    "td": frozenset(("td", "th", "p")),
    "th": frozenset(("td", "th", "p")),
    "tr": frozenset(("td", "th", "tr", "p")),
}
_ENDS |= {name: frozenset(("p",)) for name in _BLOCK - _ENDS.keys() - {"body", "html", "title"}}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LINKED_DATE = re.compile(r'"datePublished"\s*:\s*"([^"]{1,64})"')  # of JSON-LD
_DATES = (  # what says when a page was written, the surest first
    *("article:published_time", "datepublished", "dcterms.created", "dcterms.date", "dc.date"),
    *("date", "pubdate", "time"),
)
_MAIN = {  # the marks of a page's main part, the surest first, by tag, role or property
    "main": frozenset(("main",)),
    "article": frozenset(("article", "articlebody")),
}
_LITTLE = 40  # characters; less is no page
_ASKING = (*_HEADINGS, "dt", "summary")
_SPAN = 50  # cells; more is a mistake or an attack
_PROSE = 400  # characters in a cell of a table that lays out a page


def read_html(text: str) -> Content:
    """A page or a piece of one."""
    return _read(text)[0]


def read_page(text: str) -> Content:
    """A page of the web without what stands around its main text: menus, banners, side columns.

    That is its main part or its article, where it marks one; else all but what is known, by its
    tag, role or name, to stand around. Where nothing remains, the page is read whole.
    """
    page, _ = _read(text, part="page")
    lower = text.lower()
    for part in (part for part in _MAIN if part in lower):
        content, count = _read(text, part=part)
        least = len(page.text) // (2 if part == "article" and count > 1 else 5)  # or mere teasers
        if count and len(content.text) >= max(_LITTLE, least):
            return content
    for found in (page, read_html(text), _read(text, part="noscript")[0]):
        if len(found.text) >= _LITTLE:
            return found
    return read_html(text)


def write_html(draft: Draft, text: str) -> str | None:
    """Write a page or a piece of one into a draft; its title, when it has one."""
    return _walk(draft, text).title


def _read(text: str, *, part: str | None = None) -> tuple[Content, int]:
    """A page, or a part of it, and how many such parts it has."""
    draft = Draft()
    reader = _walk(draft, text, part=part)
    date = iso_date(*(reader.dates.get(name) for name in _DATES))
    return draft.content(title=reader.title, date=date), reader.parts


def _walk(draft: Draft, text: str, *, part: str | None = None) -> _Reader:
    reader = _Reader(draft, part=part)
    unclosed = text.rfind("<!--")
    if unclosed > text.rfind("-->") and "</script" not in text[unclosed:].lower():
        text = text[:unclosed]  # a comment to the end
    reader.feed(text)
    reader.close()
    reader.finish()
    return reader


class _Table:
    """Rows of cells while a table is open; a cell that spans rows is repeated in each."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self._down: dict[int, tuple[int, str]] = {}  # column -> rows still to fill, with what

    def row(self) -> None:
        self.rows.append([])
        self._fill()

    def cell(self, text: str, across: int, down: int) -> None:
        if not self.rows:
            self.row()
        for column in range(len(self.rows[-1]), len(self.rows[-1]) + across):
            if down > 1:
                self._down[column] = (down - 1, text)
            self.rows[-1].append(text if column == len(self.rows[-1]) else "")
            text = ""
        self._fill()

    def _fill(self) -> None:
        row = self.rows[-1]
        while len(row) in self._down:
            left, text = self._down.pop(len(row))
            if left > 1:
                self._down[len(row)] = (left - 1, text)
            row.append(text)


class _Open(NamedTuple):
    """An open tag: whether it hides what is in it, is a main part, has a ground of its own."""

    tag: str
    hides: bool
    main: bool
    ground: bool


class _Reader(HTMLParser):
    """Walks the tags once, without recursion: depth costs memory only."""

    def __init__(self, draft: Draft, *, part: str | None) -> None:
        super().__init__(convert_charrefs=True)
        self.title: str | None = None
        self.dates: dict[str, str] = {}  # by one of the names in _DATES, the first of each
        self.parts = 0  # of those that are wanted, the outermost ones
        self._part = part  # what is wanted of the page
        self._draft = draft
        self._open: list[_Open] = []
        self._count: Counter[str] = Counter()
        self._hidden = self._main = self._ground = 0  # how many such tags are open
        self._hiding_classes: set[str] = set()
        self._run: list[str] = []  # the paragraph so far
        self._level = 0
        self._lists: list[int] = []  # open lists: the next number, or -1 for bullets
        self._marker = ""
        self._gap = "\n\n"
        self._tables: list[_Table] = []
        self._span = (1, 1)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        ends = _ENDS.get(tag, frozenset())
        while self._open and self._open[-1].tag in ends:
            self._close()
        attributes = {name: value or "" for name, value in attrs}
        if tag in ("meta", "time"):
            self._note_date(tag, attributes)
        ground = sets_ground(attributes)
        hides = self._hides(tag, attributes, ground=ground or self._ground > 0)
        if not hides and self._seen():
            if tag == "br":
                self._run.append("\n")
            elif tag in _BLOCK:
                self.flush()
        if tag in _VOID:
            return
        main = self._is_main(tag, attributes)
        self.parts += main and not self._main and not self._hidden and not hides
        self._open.append(_Open(tag, hides, main, ground))
        self._count[tag] += 1
        self._hidden += hides
        self._main += main
        self._ground += ground
        if self._seen():
            self._begin(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        if not self._count[tag]:
            return  # closes what was never opened
        while self._close() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._seen():
            self._run.append(data if self._count["pre"] else re.sub(r"\s+", " ", data))
        elif self._open and self._open[-1].tag == "style":
            self._hiding_classes.update(hiding_classes(data))
        elif self._open and self._open[-1].tag == "script":
            for value in _LINKED_DATE.findall(data)[:1]:
                self.dates.setdefault("datepublished", value)

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """Where one ends that HTML knows nothing of: at the next ">", as in a browser."""
        end = self.rawdata.find(">", i)
        return end + 1 if end >= 0 else -1

    def finish(self) -> None:
        """End what is still open."""
        while self._open:
            self._close()
        self.flush()

    def flush(self) -> None:
        """End the paragraph that is being read."""
        if self._tables and not self._count["title"]:
            return  # the text belongs to a cell, which ends at its own tag
        text, self._run = "".join(self._run), []
        if not self._count["pre"]:
            text = "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()
        if not text.strip():
            return
        if self._count["title"]:
            self.title = self.title or " ".join(text.split())
            return
        gap = "\n" if self._marker and self._gap == "\n" else "\n\n"
        marker = "" if self._level else self._marker
        self._draft.add(marker + text, level=self._level, gap=gap)
        self._gap = "\n" if self._marker else "\n\n"
        self._marker = ""

    def _seen(self) -> bool:
        """Whether what comes now is read: all that is shown, or only what is in the main parts."""
        if self._hidden:
            return False
        return self._part not in _MAIN or self._main > 0 or self._count["title"] > 0

    def _is_main(self, tag: str, attributes: dict[str, str]) -> bool:
        names = _MAIN.get(self._part or "main", frozenset())
        said = (attributes.get("role", ""), *attributes.get("itemprop", "").split())
        return tag in names or any(name.lower() in names for name in said)

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        match tag:
            case "ul" | "ol":
                self._lists.append(_number(attributes.get("start"), 1) if tag == "ol" else -1)
            case "li" if not self._tables:
                self._marker = self._bullet()
            case "sup" if self._run and self._run[-1][-1:].isdigit():
                self._run.append("^")  # or ten to the third would be 103
            case "table":
                self.flush()
                self._tables.append(_Table())
            case "tr" if self._tables:
                self._tables[-1].row()
            case "td" | "th" if len(self._tables) == 1:
                self._above()
                across = _number(attributes.get("colspan"), 1)
                down = _number(attributes.get("rowspan"), 1)
                self._span = (min(across, _SPAN), min(down, _SPAN))
            case _ if tag in _HEADINGS:
                self._level = _HEADINGS[tag]

    def _end(self, tag: str) -> None:
        match tag:
            case "li":
                self._marker = ""
            case "ul" | "ol" if self._lists:
                self._lists.pop()
                self._gap = "\n" if self._lists else "\n\n"
            case "table" if self._tables:
                if len(self._tables) == 1:
                    self._above()
                self._draw(self._tables.pop())
            case "caption" if len(self._tables) == 1:
                self._above()
            case "td" | "th" if len(self._tables) == 1:
                self._tables[0].cell("".join(self._run).strip(), *self._span)
                self._run = []
            case _ if tag in _HEADINGS:
                self._level = 0

    def _close(self) -> str:
        """Close the innermost open tag; its name."""
        tag, hides, main, ground = self._open[-1]
        if self._seen():
            if tag in _BLOCK:
                self.flush()
                if self._tables:
                    self._run.append("\n" if len(self._tables) == 1 else " ")
            self._end(tag)
        self._open.pop()
        self._count[tag] -= 1
        self._hidden -= hides
        self._main -= main
        self._ground -= ground
        return tag

    def _above(self) -> None:
        """Write what stands in a table and in none of its cells, as a browser shows it: above."""
        text, self._run = " ".join("".join(self._run).split()), []
        self._draft.add(text)

    def _bullet(self) -> str:
        indent = "  " * max(0, len(self._lists) - 1)
        if not self._lists or self._lists[-1] < 0:
            return f"{indent}- "
        self._lists[-1] += 1
        return f"{indent}{self._lists[-1] - 1}. "

    def _draw(self, table: _Table) -> None:
        rows = [row for row in table.rows if any(cell.strip() for cell in row)]
        cells = [cell for row in rows for cell in row if cell.strip()]
        if self._tables:  # a table inside a cell: its text is the cell's
            return
        if max(map(len, rows), default=0) < 2 or max(map(len, cells), default=0) > _PROSE:
            for cell in cells:  # it lays out the page and holds no data
                lines = (" ".join(line.split()) for line in cell.split("\n"))
                self._draft.add("\n".join(line for line in lines if line))
        else:
            self._draft.add(tables.draw(rows))
        self._gap = "\n\n"

    def _hides(self, tag: str, attributes: dict[str, str], *, ground: bool) -> bool:
        """Whether an element is not to be read, with all that is in it."""
        if tag == "button" and any(self._count[each] for each in _ASKING):
            return False  # the question that an accordion opens
        if tag in UNSEEN and not (tag == "noscript" and self._part == "noscript"):
            return True
        return (
            "hidden" in attributes
            or hides(attributes.get("style", ""), on_ground=ground)
            or not self._hiding_classes.isdisjoint(attributes.get("class", "").split())
            or is_anchor(tag, attributes)
            or (self._part is not None and is_around(tag, attributes, inside=self._inside()))
        )

    def _inside(self) -> bool:
        """Whether an article or the page's main part is open."""
        return bool(self._main or self._count["article"] or self._count["main"])

    def _note_date(self, tag: str, attributes: dict[str, str]) -> None:
        """Note what a tag says of when the page was written."""
        if tag == "time":
            name, value = "time", attributes.get("datetime", "")
        else:
            given = (attributes.get(key) for key in ("property", "name", "itemprop"))
            name, value = next(filter(None, given), "").lower(), attributes.get("content", "")
        if value and name in _DATES:
            self.dates.setdefault(name, value)


def _number(value: str | None, default: int) -> int:
    return int(value) if value is not None and value.isdecimal() and len(value) < 7 else default
