"""Word processor, spreadsheet, presentation, book and mail files, by way of xberg.

Runs in the worker process only: xberg is compiled code that reads hostile files. Takes xberg's tree
of the document, whose texts carry no Markdown escapes, and writes a Draft from it.
"""

from __future__ import annotations

import asyncio
import json
import re
import zipfile
from collections.abc import Sequence
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

from ingest import tables
from ingest.dates import iso_date
from ingest.draft import Content, Draft, Member
from ingest.errors import ExtractError, PasswordNeeded

SPREADSHEETS = frozenset(
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.ms-excel",
        "application/vnd.oasis.opendocument.spreadsheet",
    )
)
_SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_MESSAGE = "application/vnd.ms-outlook"
_UNPACKED = 200 << 20  # bytes; and xberg refuses what grows more than a hundredfold
_CELLS = 2_000_000
_IMAGE = re.compile(r"!\[([^\[\]]*)\]\([^()]*\)")
# The cells of tables and the texts on slides do carry Markdown: links, tags, emphasis.
_MARKUP = re.compile(
    r"!?\[([^\[\]]*)\]\([^()\s]*\)|</?(?:u|b|i|sub|sup|br)\s*/?>|\*\*|(?<! )\*|\*(?! )"
)
_TITLE_PLACEHOLDERS = frozenset(
    ("untitled", "untitled document", "powerpoint presentation", "(anonymous)", "slide 1", "title")
)
Tree = list[tuple[Any, dict[str, Any]]]  # nodes of xberg's, each with its content as a mapping
_FILE_NAME = re.compile(r".*\.\w{2,5}")


def read_office(data: bytes, *, name: str, media_type: str) -> Content:
    """Any file that xberg knows, headings and tables kept; slides and sheets are headings."""
    try:
        found = run_xberg(data, name=name, media_type=media_type)
    except ExtractError:
        if media_type != _SLIDES:
            raise
        return _read_slides(data)
    draft = Draft()
    writer = TreeWriter(draft, sheets=media_type in SPREADSHEETS)
    if media_type == _SLIDES:
        _write_slides(writer, found)
    else:
        tree = nodes(found)
        writer.write(_without_attachments(tree) if media_type == _MESSAGE else tree)
    members = tuple(
        Member(child.path, child.result.content.encode())
        for child in found.children or ()
        if media_type == _MESSAGE and child.result.content.strip()
    )
    about = found.metadata
    date = iso_date(about.modified_at, about.created_at)
    return draft.content(title=title_of(about.title), members=members, date=date)


def run_xberg(data: bytes, *, name: str, media_type: str, passwords: Sequence[str] = ()) -> Any:
    """xberg's reading of a file; ExtractError when it refuses, PasswordNeeded when it is locked."""
    import xberg

    config = xberg.ExtractionConfig(
        use_cache=False,
        disable_ocr=True,  # with it on, a scan makes xberg look for models on the network
        enable_quality_processing=False,
        include_document_structure=True,
        output_format=xberg.OutputFormat("markdown"),  # "plain" flattens tables in the tree, too
        pages=xberg.PageConfig(extract_pages=True),
        pdf_options=xberg.PdfConfig(passwords=list(passwords)),
        content_filter=xberg.ContentFilterConfig(include_footnotes=True),
        security_limits=xberg.SecurityLimits(max_content_size=_UNPACKED, max_table_cells=_CELLS),
        concurrency=xberg.ConcurrencyConfig(max_threads=1),
        max_archive_depth=1 if media_type == _MESSAGE else 0,
    )
    given = xberg.ExtractInput(kind="bytes", bytes=data, mime_type=media_type, filename=name)
    try:
        result = asyncio.run(xberg.extract(given, config))
    except RuntimeError as error:
        raise refusal(str(error)) from error
    if not result.results:
        raise refusal("; ".join(item.message for item in result.errors))
    return result.results[0]


def refusal(message: str) -> ExtractError:
    """The error for a parser's own words."""
    if re.search(r"password|encrypted|decrypt", message, re.I):
        return PasswordNeeded("encrypted: give a password that opens it with --password")
    if re.search(r"bomb|security limit", message, re.I):
        return ExtractError("it unpacks to far more than a document holds (a decompression bomb?)")
    detail = message.rsplit(": ", 1)[-1].strip().rstrip(".")
    return ExtractError(f"damaged or incomplete ({detail})")


def nodes(found: Any) -> Tree:
    """The document's tree in reading order, each node with its content as a mapping."""
    tree = found.document.nodes if found.document is not None else ()
    return [(node, json.loads(str(node.content))) for node in tree]


def unmarked(text: str) -> str:
    """Text without the Markdown that xberg leaves in some places."""
    return _MARKUP.sub(lambda mark: mark[1] or "", text.replace("<br>", " "))


def title_of(title: str | None) -> str | None:
    """The title a file gives itself, when a person wrote it."""
    title = " ".join((title or "").split())
    if title.lower() in _TITLE_PLACEHOLDERS or _FILE_NAME.fullmatch(title):
        return None
    return title or None


class TreeWriter:
    """Writes the nodes of xberg's tree into a draft."""

    def __init__(self, draft: Draft, *, sheets: bool = False) -> None:
        self.draft = draft
        self._sheets = sheets
        self._lists: dict[int, list[int]] = {}  # node index -> [depth, next number or 0]
        self._bullet = ""  # of an empty list item: the text of its paragraph follows
        self._in_list = False

    def write(self, tree: Tree) -> None:
        """Write the body in order, then running headers and footers, each once."""
        margins: dict[str, None] = {}
        for index, (node, content) in enumerate(tree):
            if node.content_layer in ("header", "footer"):
                margins[str(content.get("text") or "")] = None
            else:
                self.node(index, node, content)
        for text in margins:
            self.draft.add(text)

    def node(self, index: int, node: Any, content: dict[str, Any]) -> None:
        """Write one node; its children come as nodes of their own."""
        match content["node_type"]:
            case "list":
                depth = self._lists[node.parent][0] + 1 if node.parent in self._lists else 0
                self._lists[index] = [depth, 1 if content.get("ordered") else 0]
            case "list_item":
                self._item(node, content["text"])
            case "heading" | "title":
                self._paragraph(content["text"], level=content.get("level", 1))
            case "slide":
                self._paragraph(_slide_title(content), level=1)
            case "table":
                self._table(content["grid"])
            case _:
                self._paragraph(_said(content))

    def _paragraph(self, text: str, *, level: int = 0) -> None:
        text = _IMAGE.sub(r"\1", text).strip()
        if text:
            self.draft.add(self._bullet + text, level=level)
            self._bullet, self._in_list = "", bool(self._bullet)

    def _item(self, node: Any, text: str) -> None:
        depth, number = self._lists.get(node.parent, (0, 0))
        if number:
            self._lists[node.parent][1] += 1
        marker = (node.attributes or {}).get("list_marker") or (f"{number}." if number else "-")
        self._bullet = f"{'  ' * depth}{marker} "
        if text := _IMAGE.sub(r"\1", text).strip():
            self.draft.add(self._bullet + text, gap="\n" if self._in_list else "\n\n")
            self._bullet, self._in_list = "", True

    def _table(self, grid: dict[str, Any]) -> None:
        rows: dict[int, dict[int, str]] = {}
        for cell in grid["cells"]:
            rows.setdefault(cell["row"], {})[cell["col"]] = unmarked(cell["content"])
        width = grid["cols"]
        filled = [[cells.get(column, "") for column in range(width)] for cells in rows.values()]
        self._in_list, self._bullet = False, ""
        self.draft.add(tables.records(filled) if self._sheets else tables.draw(filled))


def _without_attachments(tree: Tree) -> Tree:
    """A message without the list and the texts of its attachments: they are its members."""
    starts = [i for i, (_, content) in enumerate(tree) if content.get("text") == "Attachments:"]
    return tree[: starts[-1]] if starts else tree


def _said(content: dict[str, Any]) -> str:
    """The words of a node that is neither a heading, a list nor a table."""
    match content["node_type"]:
        case "metadata_block":
            return "\n".join(f"{entry['key']}: {entry['value']}" for entry in content["entries"])
        case "definition_item":
            return f"{content['term']}: {content['definition']}"
        case "raw_block":
            return _raw(content)
        case "image":
            return content.get("description") or ""
        case _:
            return content.get("text") or content.get("title") or ""


def _raw(content: dict[str, Any]) -> str:
    match content.get("format"):
        case "odp-master-page":  # the placeholders of the template
            return ""
        case "odp-speaker-notes":
            return f"Notes: {content['content']}"
        case _:
            return str(content["content"])


def _slide_title(content: dict[str, Any]) -> str:
    number, name = f"Slide {content['number']}", str(content.get("title") or "")
    same = name.replace(" ", "").lower() in ("", number.replace(" ", "").lower())
    return number if same else f"{number}: {name}"


def _write_slides(writer: TreeWriter, found: Any) -> None:
    """Slides as headings "Slide 3: Title", each followed by its text and its speaker's notes."""
    notes = {page.page_number: page.speaker_notes for page in found.pages or ()}
    slides: dict[int, list[tuple[int, Any, dict[str, Any]]]] = {}
    for index, (node, content) in enumerate(nodes(found)):
        number = node.page or max(slides, default=1)
        slides.setdefault(number, []).append((index, node, content))
    for number in sorted(slides.keys() | notes.keys()):
        title = f"Slide {number}"
        body = slides.get(number, [])
        if body and body[0][2]["node_type"] == "group":
            title = f"{title}: {unmarked(body[0][2].get('heading_text', ''))}"
            body = body[2:]
        writer.draft.add(title, level=1)
        for index, node, content in body:
            said = {"text": unmarked(content["text"])} if "text" in content else {}
            writer.node(index, node, content | said)
        if notes.get(number):
            writer.draft.add(f"Notes: {notes[number]}")


def _read_slides(data: bytes) -> Content:
    """The words on the slides of a presentation that xberg refuses."""
    draft = Draft()
    space = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            found = (re.fullmatch(r"ppt/slides/slide(\d+)\.xml", n) for n in archive.namelist())
            for slide in sorted((m for m in found if m is not None), key=lambda m: int(m[1])):
                if archive.getinfo(slide[0]).file_size > _UNPACKED:
                    raise ExtractError("it unpacks to far more than a document holds")
                draft.add(f"Slide {slide[1]}", level=1)
                for paragraph in ElementTree.fromstring(archive.read(slide[0])).iter(f"{space}p"):
                    draft.add("".join(run.text or "" for run in paragraph.iter(f"{space}t")))
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, EOFError) as error:
        raise ExtractError(f"damaged or incomplete ({error})") from error
    return draft.content()
