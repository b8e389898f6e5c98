"""How well a question that follows another is found, with and without what was said before.

    python -m benchmarks.followups --data FOLDER [--split train] [--questions 70] [--languages en,de]

Conversations of two questions are made of question sets whose paragraphs belong to articles:

    subject   about the first one's article, its name replaced by a pronoun
    answer    the first one's answer, where the second question names it, replaced by a pronoun
    bare      "why?", "and when?": the first one's passage is wanted again
    same      about the first one's article, as it was written
    changed   about another article, as it was written: what was said before must not be in the way

All paragraphs of a language are one index, asked as the product asks it. Prints recall@6 and the
mean reciprocal rank of the paragraph that answers, alone → after the first question.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from backbone.request import Message
from benchmarks.collections import Passage
from benchmarks.questions import Question, load, sample
from benchmarks.retrieval import build
from ingest.encode import Encoder, load_encoder
from ingest.index import LocalIndex
from rag.followup import in_context
from rag.retrieve import CANDIDATES, retrieve

LANGUAGES = ("ar", "de", "en", "es", "fr", "ja", "ko", "pt", "zh")
PRONOUN = {
    "ar": "هذا", "de": "das", "en": "it", "es": "eso", "fr": "cela",
    "ja": "それ", "ko": "그것", "pt": "isso", "zh": "它",
}  # fmt: skip
BARE = {
    "ar": ("لماذا؟", "ومتى؟"), "de": ("Warum?", "Und wann?"),
    "en": ("Why?", "And when?", "Tell me more", "What is it?"), "es": ("¿Por qué?", "¿Y cuándo?"),
    "fr": ("Pourquoi ?", "Et quand ?"), "ja": ("なぜ？", "いつですか？"),
    "ko": ("왜?", "언제요?"), "pt": ("Por quê?", "E quando?"), "zh": ("为什么？", "什么时候？"),
}  # fmt: skip
KINDS = ("subject", "answer", "bare", "same", "changed")
NO_ARTICLES = ("fairytaleqa", "clapnq", "pira")  # or no short names of them
K = 6
_PARAGRAPHS = 2000  # of a language, at most


@dataclass(frozen=True, slots=True)
class Pair:
    """Two questions; `second` is as it is asked, and belongs to the paragraph that is wanted."""

    kind: str
    first: Question
    second: Question


def pairs(questions: Sequence[Question], lang: str, count: int, seed: int = 0) -> list[Pair]:
    """Conversations of each kind, at most so many of it."""
    chance = random.Random(seed)
    articles: dict[str, list[Question]] = {}
    for question in questions:
        articles.setdefault(question.article, []).append(question)
    found = [*_about_subjects(articles, lang, count, chance)]
    firsts = [pair.first for pair in found if pair.kind == "same"]
    for number, first in enumerate(firsts):
        bare = BARE[lang][number % len(BARE[lang])]
        found.append(Pair("bare", first, replace(first, text=bare)))
    answers = [*_about_answers(articles, lang)]
    chance.shuffle(answers)
    return found + answers[:count]


def _about_subjects(
    articles: dict[str, list[Question]], lang: str, count: int, chance: random.Random
) -> Iterator[Pair]:
    named = [
        (question, name)
        for group in articles.values()
        for question in group
        if (name := _named(question, lang)) and len({q.text for q in group}) > 1
    ]
    chance.shuffle(named)
    for question, name in named[:count]:
        first = chance.choice([q for q in articles[question.article] if q.text != question.text])
        text = re.sub(re.escape(name), PRONOUN[lang], question.text, flags=re.IGNORECASE)
        other = chance.choice([article for article in articles if article != question.article])
        yield Pair("subject", first, replace(question, text=text))
        yield Pair("same", first, question)
        yield Pair("changed", chance.choice(articles[other]), question)


def _named(question: Question, lang: str) -> str | None:
    """How a question names its article: by the title, or by a long word of it."""
    title = question.article.replace("_", " ").split(" (")[0]
    words = [] if lang in ("ar", "ja", "ko", "zh") else [w for w in title.split() if len(w) > 3]
    folded = question.text.casefold()
    return next((name for name in (title, *words) if name.casefold() in folded), None)


def _about_answers(articles: dict[str, list[Question]], lang: str) -> Iterator[Pair]:
    edge = "" if lang in ("ja", "ko", "zh") else r"\b"
    for group in articles.values():
        for second in group:
            for first in group:
                answer = first.answers[0]
                if first.text == second.text or not 4 <= len(answer) <= 40 or answer.isdigit():
                    continue
                text = re.sub(edge + re.escape(answer) + edge, PRONOUN[lang], second.text)
                if text != second.text:
                    yield Pair("answer", first, replace(second, text=text))
                    break


class Measured:
    """Ranks of the wanted paragraph, alone and after the first question, by kind."""

    def __init__(self) -> None:
        self.ranks: dict[str, list[tuple[int | None, int | None]]] = {kind: [] for kind in KINDS}

    def ask(self, index: LocalIndex, encoder: Encoder, pair: Pair, wanted: str) -> None:
        """Ask the second question both ways."""
        find = partial(retrieve, index, encoder, k=CANDIDATES)
        said = [Message("user", pair.first.text), Message("assistant", pair.first.answers[0])]
        ranks = []
        for history in ([], said):
            hits = in_context(pair.second.text, history, find)
            sources = [hit.chunk.source for hit in hits]
            ranks.append(sources.index(wanted) if wanted in sources else None)
        self.ranks[pair.kind].append((ranks[0], ranks[1]))

    def show(self, name: str) -> None:
        """Print a line."""
        cells = []
        for kind in KINDS:
            both = self.ranks[kind]
            if not both:
                cells.append(f"{'–':>28}")
                continue
            recall = [sum(r[i] is not None and r[i] < K for r in both) / len(both) for i in (0, 1)]
            mrr = [sum(0.0 if r[i] is None else 1 / (1 + r[i]) for r in both) for i in (0, 1)]
            shown = f"{recall[0]:.3f}→{recall[1]:.3f}"
            cells.append(f"{shown} {mrr[0] / len(both):.3f}→{mrr[1] / len(both):.3f}".rjust(28))
        print(f"{name:<5}" + "".join(cells), flush=True)

    def __iadd__(self, other: Measured) -> Measured:
        """Join the counts of both."""
        for kind in KINDS:
            self.ranks[kind] += other.ranks[kind]
        return self


def run(data: Path, lang: str, split: str, encoder: Encoder, count: int) -> Measured:
    """Measure one language."""
    questions = [q for q in load(data, lang, split, leave_out=NO_ARTICLES) if q.answers]
    asked = pairs(questions, lang, count)
    wanted = {pair.second.context for pair in asked} | {pair.first.context for pair in asked}
    others = [q for q in questions if q.context not in wanted]
    titles = {q.context: q.article for q in questions if q.context in wanted}
    titles |= {q.context: q.article for q in sample(others, _PARAGRAPHS - len(titles))}
    passages = [
        Passage(str(number), title.replace("_", " "), context)
        for number, (context, title) in enumerate(titles.items())
    ]
    names = {passage.text: passage.id for passage in passages}
    measured = Measured()
    with tempfile.TemporaryDirectory() as folder:
        index = LocalIndex.open(Path(folder) / "index", encoder=encoder)
        build(index, encoder, passages)
        for pair in asked:
            measured.ask(index, encoder, pair, names[pair.second.context])
        index.close()
    return measured


def main() -> None:
    """Measure all languages that have the split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", choices=("train", "dev"), default="train")
    parser.add_argument("--questions", type=int, default=70)
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    given = parser.parse_args()
    encoder = load_encoder()
    print(f"recall@{K}, then mean reciprocal rank: alone → after the first question, {given.split}")
    print("     " + "".join(f"{kind:>28}" for kind in KINDS))
    together = Measured()
    for lang in given.languages.split(","):
        if list((given.data / "qa" / lang).glob(f"*.{given.split}.jsonl.zst")):
            measured = run(given.data, lang, given.split, encoder, given.questions)
            measured.show(lang)
            together += measured
    together.show("all")
    print("pairs" + "".join(f"{len(together.ranks[kind]):>28}" for kind in KINDS))


if __name__ == "__main__":
    main()
