"""XML as text: feeds as a list of articles, records as "name: value" lines, prose as paragraphs.

Runs in the worker process: XML can be built to cost more than it is worth. Takes decoded text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree

from ingest.draft import Content, Draft
from ingest.hypertext import read_html, write_html

_FEEDS = frozenset(("rss", "feed", "RDF"))
_BODIES = ("encoded", "content", "description", "summary")
_DATES = ("pubDate", "published", "updated", "date")
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]{0,200}\?>")
_VALUE = 200  # characters; a longer value is prose


def read_xml(text: str) -> Content:
    """Any XML; what is not well formed, or defines entities, is read like HTML: tags dropped."""
    text = _DECLARATION.sub("", text)  # it names the encoding of bytes that are text by now
    if "<!ENTITY" in text:
        return read_html(text)
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        return read_html(text)
    draft = Draft()
    if _name(root) in _FEEDS:
        return draft.content(title=_write_feed(draft, root))
    _write(draft, root)
    return draft.content()


def _write_feed(draft: Draft, root: ElementTree.Element) -> str | None:
    channel = next((child for child in root if _name(child) == "channel"), root)
    title = _child_text(channel, ("title",))
    draft.add(title, level=1)
    draft.add(_child_text(channel, ("description", "subtitle")))
    for item in root.iter():
        if _name(item) in ("item", "entry"):
            draft.add(_child_text(item, ("title",)) or "Untitled", level=2)
            draft.add(_child_text(item, _DATES))
            write_html(draft, _child_text(item, _BODIES))
    return title or None


def _child_text(parent: ElementTree.Element, names: tuple[str, ...]) -> str:
    """The text of the first child with one of the names, tried in their order."""
    for name in names:
        for child in parent:
            if _name(child) == name and (text := "".join(child.itertext()).strip()):
                return text
    return ""


def _write(draft: Draft, root: ElementTree.Element) -> None:
    """Walk the elements without recursion; depth costs memory only."""
    waiting = [root]
    while waiting:
        element = waiting.pop()
        if _holds_text(element):
            draft.add(" ".join("".join(element.itertext()).split()))
        elif (record := _record(element)) is not None:
            draft.add(record, gap="\n")
        else:
            draft.add(_pairs(element.attrib.items()))
            waiting.extend(reversed(element))


def _holds_text(element: ElementTree.Element) -> bool:
    """Whether an element has words of its own: then what is in it is one paragraph."""
    words = (element.text or "").strip()
    return bool(words) or any((child.tail or "").strip() for child in element)


def _record(element: ElementTree.Element) -> str | None:
    """An element of named short values as one line; None when it is something else."""
    if any(len(child) or len(child.text or "") > _VALUE for child in element):
        return None
    if len({child.tag for child in element}) < 2 and not element.attrib:
        return None
    pairs = list(element.attrib.items())
    for child in element:
        pairs += [(_name(child), (child.text or "").strip()), *child.attrib.items()]
    return _pairs(pairs)


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return "; ".join(f"{name.rpartition('}')[2]}: {value}" for name, value in pairs if value)


def _name(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]
