"""Markdown and its relatives as a reader sees them: escapes undone, headings found.

The text stays Markdown; only what a reader would not see goes (comments, tags, backslashes). Also
finds the headings of reStructuredText, Org and LaTeX. Knows nothing of files.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from ingest.dates import iso_date
from ingest.document import Heading
from ingest.draft import Content

_FRONT = re.compile(r"\A---\n(.*?\n)(?:---|\.\.\.)(?:\n|\Z)", re.S)
_TITLE = re.compile("^[Tt]itle:(.+)", re.M)
_DATE = re.compile("^[Dd]ate:(.+)", re.M)
_QUOTES = " \t\"'"
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_INLINE = re.compile(
    r"(?P<code>(?<!`)(`+)(?!`)[^\n]{1,400}?(?<!`)\2(?!`))"
    r"|\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|(?P<entity>&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,31});)"
    r"|(?P<tag></?(?:a|abbr|aside|b|blockquote|br|center|cite|code|dd|del|details|div|dl|dt|em"
    r"|figcaption|figure|font|h[1-6]|hr|i|iframe|img|ins|kbd|li|mark|ol|p|picture|pre|s|section"
    r"|small|source|span|strong|sub|summary|sup|table|tbody|td|tfoot|th|thead|tr|u|ul|video)"
    r"(?:\s[^<>\n]*)?/?>)"
)
_GAP = re.compile(r"\n(?:[ \t]*\n){2,}")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_SETEXT = re.compile(r" {0,3}(=+|-{2,})[ \t]*")
_BLOCKS = (" ", "|", ">", "- ", "* ", "+ ")  # a rule below these underlines nothing
_LONGEST = 400
_ORG = re.compile(r"(\*{1,6})[ \t]+(.+)")
_RST = re.compile(r"([=\-~^\"'`#*+.:_])\1+")
_TEX = re.compile(r"\\((?:sub){0,2}section|chapter|part)\*?\{([^{}]*)\}")
_TEX_LEVELS = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4}
_MARKUP = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)|[*`]+|(?<!\w)_+|_+(?!\w)")


def read_markdown(text: str) -> Content:
    """Markdown, with its front matter left in place as text; its title and date come from there."""
    front = _FRONT.match(text)
    head = html.unescape(front[0]) if front is not None else ""
    body = "".join(_shown(text[front.end() if front is not None else 0 :]))
    found = tuple(Heading(len(head) + h.start, h.level, h.text) for h in _headings(body))
    titled, dated = _TITLE.search(head), _DATE.search(head)
    title = (titled and titled[1].strip(_QUOTES)) or _first(found)
    date = iso_date(dated[1].strip(_QUOTES)) if dated is not None else None
    return Content(head + body, title, headings=found, date=date)


def read_rst(text: str) -> Content:
    """reStructuredText: a title is underlined; levels come in the order the marks appear in."""
    levels: dict[str, int] = {}
    found: list[Heading] = []
    start, last = 0, ""
    for line in text.split("\n"):
        mark = _RST.fullmatch(line.rstrip())
        if mark is not None and last.strip() and len(line.rstrip()) >= len(last.rstrip()):
            level = levels.setdefault(mark[1], len(levels) + 1)
            found.append(Heading(start - len(last) - 1, level, last.strip()))
            last = ""
        else:
            last = "" if mark is not None else line
        start += len(line) + 1
    return Content(text, _first(found), headings=tuple(found))


def read_org(text: str) -> Content:
    """Org: a heading begins with stars."""
    found = tuple(
        Heading(start, len(star[1]), star[2].strip())
        for start, line in _lines(text)
        if (star := _ORG.fullmatch(line)) is not None
    )
    return Content(text, _first(found), headings=found)


def read_tex(text: str) -> Content:
    """LaTeX source: a heading is a section command."""
    found = tuple(
        Heading(m.start(), _TEX_LEVELS[m[1]], " ".join(m[2].split())) for m in _TEX.finditer(text)
    )
    return Content(text, _first(found), headings=found)


def _first(found: list[Heading] | tuple[Heading, ...]) -> str | None:
    return found[0].text if found else None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in text.split("\n"):
        yield start, line
        start += len(line) + 1


def _shown(text: str) -> Iterator[str]:
    """The pieces of the text a reader sees: code as it is, the rest without its markup."""
    for code, part in _split(text):
        yield part if code else _GAP.sub("\n\n", _INLINE.sub(_undone, _uncommented(part)))


def _uncommented(text: str) -> str:
    """The text without `<!-- -->`; a search and not an expression, which would be quadratic."""
    pieces: list[str] = []
    at = 0
    while (begin := text.find("<!--", at)) >= 0 and (end := text.find("-->", begin)) >= 0:
        pieces.append(text[at:begin])
        at = end + 3
    return "".join([*pieces, text[at:]])


def _split(text: str) -> Iterator[tuple[bool, str]]:
    """Runs of lines in turn: (is it a fenced block, its text)."""
    fence, begin = "", 0
    for start, line in _lines(text):
        mark = _FENCE.match(line)
        if mark is None:
            continue
        if not fence:
            yield False, text[begin:start]
            fence, begin = mark[1], start
        elif mark[1].startswith(fence) and not line.strip().strip(fence[0]):
            stop = min(start + len(line) + 1, len(text))
            yield True, text[begin:stop]
            fence, begin = "", stop
    yield bool(fence), text[begin:]


def _undone(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "escaped":
            return found["escaped"]
        case "entity":
            return html.unescape(found["entity"])
        case "tag":
            return ""
        case _:
            return found[0]


def _headings(text: str) -> Iterator[Heading]:
    """ATX and underlined headings outside of fenced code."""
    offset = 0
    for code, part in _split(text):
        last, last_start = "", 0
        for start, line in _lines(part) if not code else ():
            short = line[:_LONGEST]  # a heading is short, and so the expressions stay cheap
            atx, underline = _ATX.fullmatch(short), _SETEXT.fullmatch(short)
            if atx is not None and (words := _plain(atx[2] or "")):
                yield Heading(offset + start, len(atx[1]), words)
                last = ""
            elif underline is not None and _plain(last) and not last.startswith(_BLOCKS):
                level = 1 if underline[1][0] == "=" else 2
                yield Heading(offset + last_start, level, _plain(last))
                last = ""
            else:
                last, last_start = line, start
        offset += len(part)


def _plain(words: str) -> str:
    return " ".join(_MARKUP.sub(r"\1", words).split())
