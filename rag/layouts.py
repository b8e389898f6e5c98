"""Where the passages stand in a prompt, and what is around them, for each family of models.

A layout is chosen by the name that a model goes by. Everything that comes out of documents is in
the block; the block is a part of its own in the turn's content, so the tokens around it are the
same whatever it holds. Knows neither the rules that are said nor how a reply looks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.shown import show

if TYPE_CHECKING:
    from backbone.request import Content
    from ingest.document import Chunk
    from rag.ground import Passage

_RAG = re.compile(r"LFM2[\w.]*-[\w.]+-RAG\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a family of models is given passages.

    `noun` is what they are called; `before` and `after` stand around all of them, `each` around one
    (with its `number`, `origin` and `text`, all on one line, so none can end the block or pass for
    another). With `in_system` they end the system turn, else they begin the user's.
    """

    noun: str
    before: str
    each: str
    after: str
    in_system: bool = False

    def one(self, passage: Passage) -> str:
        """One passage as it stands in the block."""
        origin = _origin(passage.hit.chunk)
        return self.each.format(number=passage.number, origin=origin, text=passage.text)

    def turns(self, rules: str, passages: Sequence[Passage], asked: str) -> tuple[Content, Content]:
        """The contents of the system turn and of the user's."""
        block = "".join(map(self.one, passages))
        if self.in_system:
            return (f"{rules}\n\n{self.before}", block, self.after), asked
        return rules, (self.before, block, f"{self.after}\n\n{asked}")


GENERAL = Layout(
    noun="passage",
    before="<passages>\n",
    each="[{number}] ({origin}) {text}\n",
    after="</passages>",
)
# What LFM2-1.2B-RAG was trained on: documents in the system turn, introduced by this sentence.
DOCUMENTS = Layout(
    noun="document",
    before="The following documents may provide you additional information to answer questions:",
    each="\n\n<document{number}>\n({origin})\n{text}\n</document{number}>",
    after="",
    in_system=True,
)


def layout_for(name: str) -> Layout:
    """The layout of a model, by its hub name, its folder, or the address it is served at."""
    return DOCUMENTS if _RAG.search(name) else GENERAL


def _origin(chunk: Chunk) -> str:
    page = f"page {chunk.page}" if chunk.page else None
    return show(", ".join(part for part in (chunk.source, page, chunk.heading) if part))[0]
