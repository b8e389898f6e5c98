"""Text formats that need a little rewriting to be read: JSON, notebooks, subtitles.

Takes decoded text. Knows nothing of files or encodings.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ingest.draft import Content, Draft
from ingest.markdown import read_markdown

_LONG_LINE = 1000
_CUE = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,]\d{1,3}[ \t]+-->[ \t]+[\d:.,]+[^\n]*")
_CUE_TAG = re.compile(r"<[^<>\n]{1,100}>|\{\\[^{}\n]{1,100}\}")
_VOICE = re.compile(r"<v(?:\.[\w.-]+)?[ \t]+([^<>\n]{1,100})>")
_PARAGRAPH_SECONDS = 30


def read_json(text: str) -> Content:
    """JSON or JSON lines as they are, unless minified, escaped or in one line: then written out."""
    if "\\u" in text or any(len(line) > _LONG_LINE for line in text.split("\n")):
        try:
            return Content(_spread(json.loads(text)))
        except (ValueError, RecursionError):
            return Content("\n".join(map(_line, text.split("\n"))))
    if "\n" not in text.strip():
        with suppress(ValueError, RecursionError):
            spread = _spread(json.loads(text))
            if "".join(spread.split()) == "".join(text.split()):  # no number is spelt otherwise
                return Content(spread)
    return Content(text)


def _line(line: str) -> str:
    """One of several JSON values in a file; what is none stays as it is."""
    try:
        return json.dumps(json.loads(line), ensure_ascii=False) if "\\u" in line else line
    except (ValueError, RecursionError):
        return line


def _spread(value: Any) -> str:
    """Indented JSON in which records that fit a line have one."""
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        lines = [json.dumps(item, ensure_ascii=False) for item in value]
        if max(map(len, lines), default=0) <= _LONG_LINE:
            return "[\n" + ",\n".join(lines) + "\n]"
    return json.dumps(value, ensure_ascii=False, indent=1)


def read_notebook(text: str) -> Content:
    """A Jupyter notebook: its Markdown, its code, and what the code printed."""
    try:
        notebook = json.loads(text)
        cells = notebook.get("cells") or notebook["worksheets"][0]["cells"]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return read_json(text)
    draft = Draft()
    for cell in cells:
        source = _joined(cell.get("source", cell.get("input")))
        if cell.get("cell_type") == "markdown":
            _add_markdown(draft, source)
        elif cell.get("cell_type") == "heading":
            draft.add(source, level=int(cell.get("level", 1)))
        else:
            draft.add(source)
            for output in cell.get("outputs", ()):
                draft.add(_joined(output.get("text") or output.get("data", {}).get("text/plain")))
    written = draft.content()
    return draft.content(title=written.headings[0].text if written.headings else None)


def _add_markdown(draft: Draft, source: str) -> None:
    content = read_markdown(source)
    begin = 0
    for heading in content.headings:
        draft.add(content.text[begin : heading.start])
        end = content.text.find("\n", heading.start)
        begin = len(content.text) if end < 0 else end
        draft.add(heading.text, level=heading.level)
    draft.add(content.text[begin:])


def _joined(value: Any) -> str:
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def read_subtitles(text: str) -> Content:
    """WebVTT or SubRip: what is said, in paragraphs that begin with the time, "[00:01:30] …"."""
    draft = Draft()
    spoken: list[str] = []
    begun, speaker = 0, ""
    for seconds, voice, words in _cues(text):
        if spoken and (seconds - begun >= _PARAGRAPH_SECONDS or voice != speaker):
            draft.add(" ".join(spoken))
            spoken = []
        if not spoken:
            begun, speaker = seconds, voice
            spoken.append(_stamp(seconds) + (f" {voice}:" if voice else ""))
        if words != spoken[-1]:  # rolling captions repeat the line before
            spoken.append(words)
    draft.add(" ".join(spoken))
    return draft.content()


def _stamp(seconds: int) -> str:
    return f"[{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}]"


def _cues(text: str) -> Iterator[tuple[int, str, str]]:
    """When each cue begins, in seconds, who speaks ("" when that is not said), and the words."""
    for block in re.split(r"\n[ \t]*\n", text):
        mark = _CUE.search(block)
        if mark is None:
            continue  # the header, a note, a style
        hours, minutes, seconds = (int(part or 0) for part in mark.groups())
        said = block[mark.end() :]
        voice = _VOICE.search(said)
        if words := " ".join(html.unescape(_CUE_TAG.sub("", said)).split()):
            at = hours * 3600 + minutes * 60 + seconds
            yield at, voice[1].strip() if voice is not None else "", words
