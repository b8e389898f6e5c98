"""Text of documents as a generator is shown it: on one line, and without what could pass for more.

Where white space ran there is one space. Characters that nobody sees (direction marks, zero-width
ones, tags) are left out, and what looks like a tag or a special token is opened by a look-alike:
`<|im_start|>` by `‹`. The embedded engine never takes text for special tokens anyway; servers may.
Every character knows its place in the original, so quotes are still the document's own words.
"""

from __future__ import annotations

import re

LOOKALIKES = {"<": "‹", "[": "〔"}  # one character for one

_INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0d\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"
)
_UNSEEN = re.compile(f"[{_INVISIBLE}]")
_WORD = re.compile(r"\S+")
# What opens a tag (<b>, </passages>, <!--), a special token (<|im_start|>, and with DeepSeek's
# bars), or a mark in capitals ([INST], [/INST]).
_OPENS = re.compile(r"<(?=!|[</|?\uff5c]*\s*[^\W\d])|\[(?=/?[A-Z_]{3,}\])")


def flatten(text: str) -> tuple[str, list[int]]:
    """A text with each run of white space as one space, and where each character was."""
    flat: list[str] = []
    places: list[int] = []
    for word in _WORD.finditer(text):
        if flat:
            flat.append(" ")
            places.append(word.start() - 1)
        flat.append(word.group())
        places.extend(range(*word.span()))
    return "".join(flat), places


def show(text: str) -> tuple[str, list[int]]:
    """A document's text as a generator is shown it, and where each character was."""
    seen = [at for at, character in enumerate(text) if not _UNSEEN.match(character)]
    flat, places = flatten("".join(text[at] for at in seen))
    shown = _OPENS.sub(lambda found: LOOKALIKES[found.group()], flat)
    return shown, [seen[place] for place in places]
