"""PDF pages as text: xberg for structure, PDFium as the second opinion.

Runs in the worker process only. Knows nothing of other formats.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.dates import iso_date
from ingest.decode import tidy
from ingest.draft import Content, Draft, Member
from ingest.errors import ExtractError, PasswordNeeded
from ingest.office import TreeWriter, nodes, run_xberg, title_of

_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_HAN = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
_CJK = re.compile("[\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef]")
_STRAY_SPACE = re.compile(r"(?<=\w) (?=[.,](?:\s|$))")  # xberg's, after a change of font
_SENTENCE_END = re.compile(r"[.!?:;。！？؟][\"'”’)»]*$")
_TURNED_END = re.compile(r"(?<!\S)([.!؟:،])(\d[\d.,]*)$")
_SAME = 0.8  # of the letters: below that xberg has lost a figure's text, or got the font wrong
_ENOUGH = 10  # letters on a page, to judge a reading by
_MEMBER = 64 << 20

Tree = list[tuple[int, Any, dict[str, Any]]]


def read_pdf(data: bytes, *, name: str, passwords: Sequence[str] = ()) -> Content:
    """The pages in order, with headings, tables and form fields, and the files attached.

    ExtractError when there is no text in it or it cannot be opened, PasswordNeeded when locked.
    """
    failure: ExtractError | None = None
    try:
        opened = _open(data, passwords)
    except ExtractError as error:
        opened, failure = None, error
    title: str | None = None
    pages: dict[int, Tree] = {}
    try:
        found = run_xberg(data, name=name, media_type="application/pdf", passwords=passwords)
    except ExtractError as error:
        failure = failure or error
    else:
        title = title_of(found.metadata.title)
        pages = _by_page(found)
    draft = _written(pages, opened.texts if opened is not None else ())
    members = opened.members if opened is not None else ()
    date = opened.date if opened is not None else None
    content = draft.content(title=title, members=members, date=date)
    if content.text.strip() or members:
        return content
    if opened is None:
        raise failure or ExtractError("damaged or incomplete")
    if not opened.pictures:
        raise ExtractError("no text in it")
    raise ExtractError(
        "no text layer (a scan?); OCR is not built in: run it through an OCR program first"
    )


def _by_page(found: Any) -> dict[int, Tree]:
    """The nodes of each page, in reading order; a node that names no page is on the one before."""
    pages: dict[int, Tree] = {page.page_number: [] for page in found.pages or ()}
    last = 1
    for index, (node, content) in enumerate(nodes(found)):
        last = node.page or last
        pages.setdefault(last, []).append((index, node, content))
    return pages


def _written(pages: dict[int, Tree], second: Sequence[str]) -> Draft:
    draft = Draft()
    writer = TreeWriter(draft)
    for number in range(1, max(len(second), *pages, 0) + 1):
        draft.page()
        tree = pages.get(number, [])
        other = second[number - 1] if number <= len(second) else ""
        if _better(other, tree):
            draft.add(_unwrapped(other))
        else:
            for index, node, content in tree:
                prose = "text" in content and content["node_type"] != "code"
                said = {"text": _reflowed(content["text"])} if prose else {}
                writer.node(index, node, content | said)
    return draft


def _better(other: str, tree: Tree) -> bool:
    """Whether PDFium's reading of a page is to be taken instead of xberg's.

    It knows the fonts that East Asian files leave out and the order of right-to-left writing.
    """
    letters = _letters(other)
    total = letters.total()
    if len(_RIGHT_TO_LEFT.findall(other)) * 5 > total:
        return True
    if total < _ENOUGH and tree:
        return False
    shared = (letters & _letters(" ".join(map(_text, tree)))).total()
    return shared < _SAME * total


def _text(entry: tuple[int, Any, dict[str, Any]]) -> str:
    content = entry[2]
    cells = content["grid"]["cells"] if "grid" in content else ()
    return " ".join([str(content.get("text") or ""), *(cell["content"] for cell in cells)])


def _letters(text: str) -> Counter[str]:
    return Counter(filter(str.isalnum, tidy(text)))


@dataclass(frozen=True, slots=True)
class _Opened:
    """What PDFium finds: the text of each page, attached files, whether there are pictures, and
    when it was last written."""

    texts: list[str]
    members: tuple[Member, ...]
    pictures: bool
    date: str | None


def _open(data: bytes, passwords: Sequence[str]) -> _Opened:
    import pypdfium2

    locked = False
    for password in (None, *passwords):
        try:
            document = pypdfium2.PdfDocument(data, password=password)
        except pypdfium2.PdfiumError as error:
            locked = "password" in str(error).lower()
            if not locked:
                raise ExtractError(f"damaged or incomplete ({error})") from error
        else:
            with contextlib.closing(document):
                texts = [_page_text(document, number) for number in range(len(document))]
                pictures = not any(texts) and _has_pictures(document)
                times = (document.get_metadata_value(key) for key in ("ModDate", "CreationDate"))
                return _Opened(texts, _attached(document), pictures, iso_date(*times))
    raise PasswordNeeded("encrypted: give a password that opens it with --password")


def _page_text(document: Any, number: int) -> str:
    import pypdfium2

    try:
        with (
            contextlib.closing(document[number]) as page,
            contextlib.closing(page.get_textpage()) as text,
        ):
            return str(text.get_text_bounded()).strip()
    except pypdfium2.PdfiumError:
        return ""  # a broken page: xberg's reading of it stands


def _has_pictures(document: Any) -> bool:
    import pypdfium2
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

    for number in range(min(len(document), 20)):
        try:
            with contextlib.closing(document[number]) as page:
                if any(page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE])):
                    return True
        except pypdfium2.PdfiumError:
            continue
    return False


def _attached(document: Any) -> tuple[Member, ...]:
    import pypdfium2

    members = []
    for index in range(document.count_attachments()):
        try:
            attachment = document.get_attachment(index)
            payload = bytes(attachment.get_data())
        except pypdfium2.PdfiumError:
            continue  # listed, but not there
        if len(payload) <= _MEMBER:
            members.append(Member(attachment.get_name() or f"attachment-{index + 1}", payload))
    return tuple(members)


def _reflowed(text: str) -> str:
    """A paragraph of xberg's on one line."""
    lines = text.split("\n")
    text = "".join(_pieces(lines, lambda index: True))
    return _STRAY_SPACE.sub("", re.sub(r"[ \t]{2,}", " ", text))


def _unwrapped(text: str) -> str:
    """PDFium's lines put together to paragraphs."""
    lines = [line.rstrip("\r\n") for line in text.replace("\ufffe", "\xad").splitlines()]
    lines = [line for line in lines if line.strip()]
    if _RIGHT_TO_LEFT.search(text):  # the last full stop stands before the number
        lines = [_TURNED_END.sub(r"\2\1", line) for line in lines]
    return "".join(_pieces(lines, lambda index: _goes_on(lines, index))).replace("\xad", "")


def _goes_on(lines: list[str], index: int) -> bool:
    """Whether a line fills the width of its column and ends no sentence."""
    near = max(map(len, lines[max(0, index - 2) : index + 3]))
    line = lines[index].strip()
    return len(line) > 0.7 * near and _SENTENCE_END.search(line) is None


def _pieces(lines: list[str], goes_on: Callable[[int], bool]) -> Iterator[str]:
    """Lines, and between them what joins or parts them.

    Chinese and Japanese break lines inside words, and so may Korean: but then lines that do end
    with a word end with a space.
    """
    inside_words = any(line.endswith(" ") for line in lines)
    for index, line in enumerate(lines):
        words = " ".join(line.split())
        yield words
        if index + 1 == len(lines):
            return
        ends = _HAN if not inside_words else _CJK
        if not goes_on(index):
            yield "\n"
        elif words.endswith("\xad") or (
            not line.endswith(" ") and ends.match(words[-1:]) and ends.match(lines[index + 1])
        ):
            continue
        else:
            yield " "
