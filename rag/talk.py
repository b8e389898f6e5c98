"""What a line at the prompt of `rag chat` means: a question, or a command that begins with `/`.

Prints nothing and knows no terminal: what to print is returned.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ingest.document import Chunk
from ingest.where import Where
from rag.answer import Answer, Citation
from rag.chat import Chat
from rag.display import citation_text, harmless, place
from rag.draft import AnswerStream

if TYPE_CHECKING:
    from rag.pipeline import Rag

HELP = """\
/sources        what the last answer quotes
/show N         the passage around quote N of the last answer
/where EXPR     look only there from now on, such as source=docs/*.pdf; alone: everywhere again
/web on|off     search the web, too
/save FILE      write the conversation to a file; rag chat --resume FILE goes on with it
/new            begin a new conversation
/help           this list
/quit           leave; so does Ctrl-D. Ctrl-C stops an answer
Anything else is a question; it is understood after those before it."""
_NAMES = [line.split()[0] for line in HELP.splitlines() if line.startswith("/")]
_AROUND = 400  # characters shown on both sides of a quote whose passage is not known


class Talk:
    """A conversation at a prompt. `over` becomes true when the user wants to leave.

    Text is laid out for `width` columns, or not at all with None; `bold` makes it stand out.
    """

    def __init__(
        self, rag: Rag, chat: Chat, *, width: int | None, bold: Callable[[str], str]
    ) -> None:
        self.chat = chat
        self.over = False
        self._rag = rag
        self._width = width
        self._bold = bold

    def hear(self, line: str) -> AnswerStream | str:
        """The answer to a question, or what a command has to say ("" is nothing).

        Raises ValueError, or what the library raises, for what cannot be done.
        """
        line = line.strip()
        if not line.startswith("/"):
            return self.chat.stream(line) if line else ""
        name, _, rest = line.partition(" ")
        rest = rest.strip()
        match name:
            case "/sources":
                return self._sources()
            case "/show":
                return self._show(rest)
            case "/where":
                return self._look(rest)
            case "/web":
                return self._switch_web(rest)
            case "/save":
                return self._save(rest)
            case "/new":
                return self._begin()
            case "/help":
                return HELP
            case "/quit":
                self.over = True
                return ""
        near = get_close_matches(name, _NAMES, n=1)
        hint = f"did you mean {near[0]}?" if near else "/help lists the commands"
        raise ValueError(f"there is no {name}: {hint}")

    def _last(self) -> Answer:
        if not self.chat.turns:
            raise ValueError("nothing was asked yet")
        return self.chat.turns[-1].answer

    def _sources(self) -> str:
        citations = self._last().citations
        shown = (citation_text(c, width=self._width, bold=self._bold) for c in citations)
        return "\n".join(shown) or "the last answer quotes nothing"

    def _show(self, number: str) -> str:
        answer = self._last()
        numbered = {str(citation.number): citation for citation in answer.citations}
        if number not in numbered:
            there = f"from 1 to {len(numbered)}" if numbered else "of which it has none"
            raise ValueError(f"/show takes the number of a quote of the last answer, {there}")
        citation = numbered[number]
        passage = _passage(citation, answer)
        if passage is not None and passage.url:  # it may not be in the index
            text, at = passage.text, passage.start
        else:
            text, at = self._rag.text(citation.source), 0
        first, last = citation.start - at, citation.end - at
        if text[first:last] != citation.quote:
            raise ValueError(f"{citation.source} has changed since: ask again")
        start, end = (passage.start, passage.end) if passage else (first - _AROUND, last + _AROUND)
        parts = (text[max(0, start - at) : first], citation.quote, text[last : end - at])
        before, quote, after = map(harmless, parts)
        return f"{place(citation)}\n{before}{self._bold(quote)}{after}"

    def _look(self, where: str) -> str:
        if where:
            Where.parse(where)  # raises now, what is no filter
        self.chat.where = where or None
        return f"from now on only where {where}" if where else "from now on everywhere"

    def _switch_web(self, state: str) -> str:
        if state not in ("on", "off"):
            raise ValueError("/web takes on or off")
        if state == "on":
            self._rag.searches()  # raises now, without anything that does
        self.chat.web = state == "on"
        return f"the web is {state}"

    def _save(self, path: str) -> str:
        if not path:
            raise ValueError("/save takes the name of a file")
        self.chat.save(path)
        return f"saved to {path}: rag chat --resume {path} goes on with it"

    def _begin(self) -> str:
        old = self.chat
        self.chat = Chat(self._rag, k=old.k, where=old.where, web=old.web)
        return "a new conversation"


def _passage(citation: Citation, answer: Answer) -> Chunk | None:
    """The passage that a quote was taken from."""
    for hit in answer.hits:
        chunk = hit.chunk
        inside = chunk.start <= citation.start and citation.end <= chunk.end
        if chunk.source == citation.source and inside:
            return chunk
    return None
