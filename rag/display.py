"""Answers and passages as plain text for people: one line each, safe to print, wrapped to a width.

Prints nothing and knows no terminal: how wide it is, if there is one, and how it makes text bold
are arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

from backbone.request import Message
from ingest.document import Chunk, Hit
from rag.answer import Citation, Conflict, Sentence
from rag.prompt import content_text
from rag.sentences import rank

if TYPE_CHECKING:
    from ingest.sources import Skipped
    from ingest.sync import Report
    from rag.pipeline import Rag

_NAMED = 3  # files that are gone, of any number
_SNIPPET = 300  # characters of a passage that are enough to recognise it
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line feed
_RIGHT_TO_LEFT = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
# A line may be broken between any two of these: at spaces, and between CJK characters, but not
# before a mark that closes something.
_PIECE = re.compile(
    r"\s+|(?:[^\s\u1100-\u11ff\u2e80-\uffef]+|.)[、。，．：；？！）〕」』】》〉”’]*"
)


def sentence_text(sentence: Sentence, *, width: int | None) -> str:
    """A sentence of an answer with the numbers of its citations."""
    numbers = "".join(f"[{number}]" for number in sentence.citations)
    return wrap(f"{one_line(sentence.text)} {numbers}", width=width)


def citation_text(citation: Citation, *, width: int | None, bold: Callable[[str], str]) -> str:
    """A citation: where it stands, and below that the quote."""
    quote = wrap(f"“{one_line(citation.quote)}”", width=width, indent="    ")
    return f"{bold(f'[{citation.number}]')} {place(citation)}\n{quote}"


def doubt_text(sentence: Sentence) -> str:
    """Why a sentence was left out, or is to be doubted."""
    done = "doubtful" if sentence.citations else "left out"
    why = sentence.doubt or "no passage holds it"
    return f"{done}, since {why}: {one_line(sentence.text)[:200]}"


def conflict_text(
    conflict: Conflict, hits: Sequence[Hit], *, width: int | None, bold: Callable[[str], str]
) -> str:
    """Passages that contradict each other: where each stands, of which date, and its words."""
    lines = [bold("The documents disagree:")]
    for number, quote in zip(conflict.passages, conflict.quotes, strict=True):
        chunk = hits[number - 1].chunk
        dated = f", {chunk.date[:10]}" if chunk.date else ""
        lines += [
            f"  {place(chunk)}{dated}",
            wrap(f"“{one_line(quote)}”", width=width, indent="    "),
        ]
    return "\n".join(lines)


def prompt_text(messages: Sequence[Message], *, bold: Callable[[str], str]) -> str:
    """The turns of a prompt, each below its role."""
    turns = [f"{bold(f'{m.role}:')}\n{content_text(m.content)}" for m in messages]
    return _CONTROL.sub("", "\n\n".join(turns)) or "Nothing was found, so no model is asked."


def skipped_text(skipped: Skipped) -> str:
    """What gave no document, and why."""
    return f"skipped {one_line(skipped.source)}: {one_line(skipped.reason)}"


def report_text(report: Report, folder: Path) -> str:
    """What an indexing run did, in a line, and in another one what files are gone."""
    changes = ("added", "updated", "removed")
    counts = [f"{len(getattr(report, change))} {change}" for change in changes]
    counts += [f"{report.unchanged} unchanged", f"{len(report.skipped)} skipped"]
    written = count(report.chunks, "passage")
    done = f"{', '.join(counts)}; {written} written to {folder} ({report.seconds:.1f} s)"
    if not report.gone:
        return done
    named = ", ".join(map(one_line, report.gone[:_NAMED]))
    if len(report.gone) > _NAMED:
        named += f" and {len(report.gone) - _NAMED:,} more"
    whose = "is gone, and its" if len(report.gone) == 1 else "are gone, and their"
    gone = f"{count(len(report.gone), 'file')} {whose} text is still in the index ({named})"
    return f"{done}\n{gone}: --prune removes it"


def status_facts(rag: Rag) -> dict[str, Any]:
    """What is in an index, as plain JSON values."""
    documents = rag.documents()
    files = [path for path in rag.folder.rglob("*") if path.is_file()]
    return {
        "index": str(rag.folder),
        "encoder": rag.encoder_name,
        "documents": [asdict(document) for document in documents],
        "chunks": sum(document.chunks for document in documents),
        "bytes": sum(path.stat().st_size for path in files),
    }


def status_text(facts: Mapping[str, Any]) -> str:
    """What is in the index, a line for each document."""
    documents = facts["documents"]
    lines = [
        f"index      {facts['index']} ({facts['bytes'] / 1e6:.1f} MB)",
        f"encoder    {facts['encoder']}",
        f"documents  {len(documents)}, in {count(facts['chunks'], 'passage')}\n",
    ]
    for document in documents:
        sizes = [count(document["characters"], "character"), count(document["chunks"], "passage")]
        sizes += [count(document["pages"], "page")] if document["pages"] else []
        sizes += [document["date"][:10]] if document["date"] else []
        lines.append(f"{one_line(document['source'])} ({', '.join(sizes)})")
    return "\n".join(lines)


def hit_text(
    number: int, hit: Hit, query: str, *, width: int | None, bold: Callable[[str], str]
) -> str:
    """A found passage: where it stands, its score, and what of it is nearest to the query."""
    part = wrap(snippet(hit.chunk.text, query), width=width, indent="   ")
    return f"{bold(f'{number}.')} {place(hit.chunk)}  {hit.score:.2f}\n{part}"


def count(number: int, noun: str) -> str:
    """A number of things, in words."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def harmless(text: str) -> str:
    """A text without the characters that steer a terminal."""
    return _CONTROL.sub("\ufffd", text)


def one_line(text: str) -> str:
    """A text on one line, without the characters that steer a terminal."""
    return harmless(" ".join(text.split()))


def place(at: Chunk | Citation) -> str:
    """Where a passage or a quote stands: source, page, heading, and the span of its characters."""
    page = f"page {at.page}" if at.page else ""
    heading = f'"{one_line(at.heading)}"' if at.heading else ""
    if _RIGHT_TO_LEFT.search(heading):
        heading += "\u200e"  # else the numbers behind it would be drawn in reverse order
    parts = [part for part in (one_line(at.source), page, heading) if part]
    return f"{', '.join(parts)} ({at.start}–{at.end})"


def snippet(text: str, query: str) -> str:
    """A short passage whole, a long one from the sentence on that is nearest to a query."""
    shown = one_line(text)
    if len(shown) <= _SNIPPET:
        return shown
    best = rank(query, [text])
    if best and best[0].start > 0:
        shown = "… " + one_line(text[best[0].start :])
    if len(shown) > _SNIPPET:
        shown = shown[:_SNIPPET].rsplit(" ", 1)[0] + " …"
    return shown


def wrap(text: str, *, width: int | None, indent: str = "") -> str:
    """A text as lines of at most `width` columns with the indent; as one line without a width."""
    if width is None:
        return indent + text
    lines, used = [""], 0
    for piece in _PIECE.findall(text):
        columns = sum(2 if east_asian_width(c) in "WF" else 1 for c in piece)
        if used and len(indent) + used + columns > width:
            lines, used = [*lines, ""], 0
        if used or not piece.isspace():
            lines[-1] += piece
            used += columns
    return "\n".join(indent + line.rstrip() for line in lines)
