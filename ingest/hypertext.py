"""HTML as text: what a browser would show, with headings, lists and tables, and nothing hidden.

Takes decoded text. Knows nothing of files, encodings or where a page came from.
"""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

from ingest import tables
from ingest.dates import iso_date
from ingest.draft import Content, Draft

_VOID = frozenset(
    str.split("area base br col embed hr img input link meta param source track wbr frame")
)
_UNSEEN = frozenset(  # never shown, or controls of the page and no part of what it says
    str.split(
        "script style template noscript svg math nav button select datalist textarea iframe object "
        "canvas audio video map rp rt noframes"
    )
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
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden"
    r"|(?:font-size|opacity)\s*:\s*0(?:\.0*)?\s*(?:[;a-z%]|$)",
    re.I,
)
_WHITE = re.compile(r"(?<!-)color\s*:\s*(?:white\b|transparent|#fff(?:fff)?\b)", re.I)
_HIDING_RULE = re.compile(r"([^{}]{1,500})\{([^{}]{0,2000})\}")
_CLASS = re.compile(r"\.([A-Za-z_][\w-]*)\s*(?:,|$)")
_LINKED_DATE = re.compile(r'"datePublished"\s*:\s*"([^"]{1,64})"')  # of JSON-LD
_DATES = (  # what says when a page was written, the surest first
    *("article:published_time", "datepublished", "dcterms.created", "dcterms.date", "dc.date"),
    *("date", "pubdate", "time"),
)
# What stands around the main text of a page: by tag, by role, by a word of its class or id.
_AROUND = frozenset(("aside", "footer"))
_ROLES = frozenset(
    str.split(
        "navigation banner contentinfo complementary search dialog alertdialog menu menubar toolbar"
    )
)
_NAMED = re.compile(
    r"(?<![\w-])(?!(?:has|with|no|is)-)(?:[\w-]*[-_])?(?:cookies?|consent|sidebar|menu|nav|navbar"
    r"|breadcrumbs?|shar(?:e|ing)|social|newsletter|advert\w*|ads?|promo|related|recommended|footer"
    r"|subscribe|pagination|pager)(?:[-_][\w-]*)?(?![\w-])",
    re.I,
)
_MAIN = frozenset(("html", "body", "main", "article"))  # never around it, whatever they are called
_SPAN = 50  # cells; more is a mistake or an attack
_PROSE = 400  # characters in a cell of a table that lays out a page


def read_html(text: str) -> Content:
    """A page or a piece of one."""
    draft = Draft()
    reader = _read(draft, text)
    date = iso_date(*(reader.dates.get(name) for name in _DATES))
    return draft.content(title=reader.title, date=date)


def read_page(text: str) -> Content:
    """A page of the web without what stands around its main text: menus, banners, side columns.

    Where next to nothing would remain, it is read whole.
    """
    whole, draft = read_html(text), Draft()
    _read(draft, text, main=True)
    content = draft.content(title=whole.title, date=whole.date)
    return content if 10 * len(content.text) >= len(whole.text) else whole


def write_html(draft: Draft, text: str) -> str | None:
    """Write a page or a piece of one into a draft; its title, when it has one."""
    return _read(draft, text).title


def _read(draft: Draft, text: str, *, main: bool = False) -> _Reader:
    reader = _Reader(draft, main=main)
    reader.feed(text)
    reader.close()
    reader.flush()
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


class _Reader(HTMLParser):
    """Walks the tags once, without recursion: depth costs memory only."""

    def __init__(self, draft: Draft, *, main: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._main = main  # whether only the main text is read
        self.title: str | None = None
        self.dates: dict[str, str] = {}  # by one of the names in _DATES, the first of each
        self._draft = draft
        self._open: list[tuple[str, bool]] = []  # tags, and whether each hides what is in it
        self._count: Counter[str] = Counter()
        self._hidden = 0
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
        while self._open and self._open[-1][0] in ends:
            self._close()
        attributes = {name: value or "" for name, value in attrs}
        if tag == "br":
            self._run.append("\n")
        elif tag in _BLOCK:
            self.flush()
        if tag in ("meta", "time"):
            self._note_date(tag, attributes)
        if tag in _VOID:
            return
        hides = tag in _UNSEEN or self._hides(attributes) or self._around(tag, attributes)
        self._open.append((tag, hides))
        self._count[tag] += 1
        self._hidden += hides
        if not self._hidden:
            self._begin(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        if not self._count[tag]:
            return  # closes what was never opened
        while self._close() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._run.append(data if self._count["pre"] else re.sub(r"\s+", " ", data))
        elif self._open[-1][0] == "style":
            self._learn(data)
        elif self._open[-1][0] == "script" and (linked := _LINKED_DATE.search(data)) is not None:
            self.dates.setdefault("datepublished", linked[1])

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
        self._draft.add(self._marker + text, level=self._level, gap=gap)
        self._gap = "\n" if self._marker else "\n\n"
        self._marker = ""

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        match tag:
            case "ul" | "ol":
                self._lists.append(_number(attributes.get("start"), 1) if tag == "ol" else -1)
            case "li":
                self._marker = self._bullet()
            case "table":
                self.flush()
                self._tables.append(_Table())
            case "tr" if self._tables:
                self._tables[-1].row()
            case "td" | "th" if len(self._tables) == 1:
                self._run = []
                across = _number(attributes.get("colspan"), 1)
                down = _number(attributes.get("rowspan"), 1)
                self._span = (min(across, _SPAN), min(down, _SPAN))
            case _ if tag in _HEADINGS:
                self._level = _HEADINGS[tag]

    def _end(self, tag: str) -> None:
        match tag:
            case "ul" | "ol" if self._lists:
                self._lists.pop()
                self._gap = "\n" if self._lists else "\n\n"
            case "table" if self._tables:
                self._draw(self._tables.pop())
            case "td" | "th" if len(self._tables) == 1:
                self._tables[0].cell("".join(self._run).strip(), *self._span)
                self._run = []
            case _ if tag in _HEADINGS:
                self._level = 0

    def _close(self) -> str:
        """Close the innermost open tag; its name."""
        tag, hides = self._open[-1]
        if tag in _BLOCK:
            self.flush()
            if self._tables:
                self._run.append("\n" if len(self._tables) == 1 else " ")
        if not self._hidden:
            self._end(tag)
        self._open.pop()
        self._count[tag] -= 1
        self._hidden -= hides
        return tag

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

    def _hides(self, attributes: dict[str, str]) -> bool:
        return (
            "hidden" in attributes
            or _hiding(attributes.get("style", ""))
            or not self._hiding_classes.isdisjoint(attributes.get("class", "").split())
        )

    def _around(self, tag: str, attributes: dict[str, str]) -> bool:
        """Whether an element is left out since it stands around the main text."""
        if not self._main or tag in _MAIN:
            return False
        if tag == "header":  # that of an article holds its title
            return not (self._count["article"] or self._count["main"])
        named = f"{attributes.get('class', '')} {attributes.get('id', '')}"
        role = attributes.get("role", "").lower()
        return tag in _AROUND or role in _ROLES or _NAMED.search(named) is not None

    def _note_date(self, tag: str, attributes: dict[str, str]) -> None:
        """Note what a tag says of when the page was written."""
        if tag == "time":
            name, value = "time", attributes.get("datetime", "")
        else:
            given = (attributes.get(key) for key in ("property", "name", "itemprop"))
            name, value = next(filter(None, given), "").lower(), attributes.get("content", "")
        if value and name in _DATES:
            self.dates.setdefault(name, value)

    def _learn(self, sheet: str) -> None:
        """Note the classes that a style sheet of the page hides."""
        for rule in _HIDING_RULE.finditer(sheet):
            if _hiding(rule[2]):
                self._hiding_classes.update(_CLASS.findall(rule[1].strip()))


def _hiding(style: str) -> bool:
    """Whether these declarations hide an element; white writing does, where no ground is set."""
    white = _WHITE.search(style) is not None and "background" not in style.lower()
    return white or _HIDING.search(style) is not None


def _number(value: str | None, default: int) -> int:
    return int(value) if value is not None and value.isdecimal() and len(value) < 7 else default
