"""How passages are laid out for the built-in reader, a small LFM2 that answers by pointing.

The user turn holds the question, the best sentences of the passages in reading order, and the
question again. `<m>` stands before every word that a sentence shares with the question; each
sentence is closed by its own mark `<s0>`, `<s1>`, …; the reply is `<sK>` and a span of that
sentence, or `<no>`.
Training and answering build their prompts here, so that both see the same layout. Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence

from backbone.request import Mark, Message
from rag.sentences import Candidate, weight

SENTENCES = 12  # at most, of which the answer is in reach for 95-99 % of squad-like questions
WEIGHT = 1800  # of all sentences together: about 500 tokens in any of the nine languages
NOTHING = Mark("<no>")
_SHARED = Mark("<m>")


def closing(number: int) -> Mark:
    """The mark that closes sentence `number` (from 0) and names it in the reply."""
    return Mark(f"<s{number}>")


def choose(ranked: Sequence[Candidate], *, limit: int = SENTENCES) -> list[Candidate]:
    """The best candidates that fit, in reading order."""
    chosen: list[Candidate] = []
    total = 0
    for candidate in ranked:
        total += weight(candidate.text)
        if chosen and (len(chosen) == limit or total > WEIGHT):
            break
        chosen.append(candidate)
    return sorted(chosen, key=lambda c: (c.passage, c.start))


def sentence_parts(candidate: Candidate) -> list[str | Mark]:
    """A sentence with its shared words marked; it starts with a space, as inside running text."""
    parts: list[str | Mark] = []
    text, at = " " + candidate.text.replace("\n", " "), 0
    for start, _ in candidate.matches:
        # The text is the sentence moved one to the right. The mark goes before the white space,
        # where a token begins.
        cut = start if text[start].isspace() else start + 1
        if cut > at:
            parts.append(text[at:cut])
        parts.append(_SHARED)
        at = cut
    return [*parts, text[at:]]


def message(
    question: str, chosen: Sequence[Candidate], headings: Sequence[str | None] = ()
) -> Message:
    """The user turn for these sentences; `headings` are those of the passages."""
    question = " ".join(question.split())
    parts: list[str | Mark] = [question]
    passage = -1
    for number, candidate in enumerate(chosen):
        if candidate.passage != passage:
            passage = candidate.passage
            heading = headings[passage] if headings else None
            parts.append(f"\n{heading[-80:]}:" if heading else "\n")
        parts += [*sentence_parts(candidate), closing(number)]
    return Message("user", (*parts, "\n" + question))
