"""Do answers rest on the right sentences, and is it noticed when they do not?

    python -m benchmarks.grounding --data DATA

Citations: clapnq's questions want long answers, and people marked the sentences that these rest on. The
built-in reader cites sentences of the paragraph; precision and recall against the marked ones, averaged
over the questions, beside the two sentences with the largest idf overlap. Differences come with the 95 %
interval of a paired bootstrap.
Support: the sentences people wrote from that evidence, and the same with another number, another name, a
negation, or over the evidence of another question: which are doubted?
Falsified passages: RGB's questions with true passages and false ones; is it noted that they disagree?
Dev questions only; nothing is fitted here.
"""

from __future__ import annotations

import argparse
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np

from backbone.backbone import Backbone
from benchmarks.collections import rows
from benchmarks.questions import as_document
from ingest.chunk import chunk
from ingest.document import Hit
from ingest.encode import Encoder, load_encoder
from ingest.words import words
from rag.conflicts import contradictions
from rag.reader import read
from rag.sentences import split
from rag.support import doubt
from rag.wording import denials, names

RESAMPLES = 10_000
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Marked:
    """A question, its paragraph, the spans of the paragraph's sentences, and which are marked."""

    question: str
    context: str
    sentences: tuple[Span, ...]
    evidence: frozenset[int]


def load_marked(data: Path) -> list[Marked]:
    """The answerable questions of clapnq."""
    found = []
    for row in rows(data / "qa" / "en" / "clapnq.dev.jsonl.zst"):
        if row["is_impossible"]:
            continue
        spans, at = [], 0
        for sentence in row["sentences"]:
            start = row["context"].index(sentence, at)
            at = start + len(sentence)
            spans.append((start, at))
        marked = {n for n, s in enumerate(row["sentences"]) if s in row["evidence"]}
        found.append(Marked(row["question"], row["context"], tuple(spans), frozenset(marked)))
    return found


def cited(sentences: Sequence[Span], quotes: Iterable[Span]) -> set[int]:
    """Which sentences are quoted: by half of themselves, or of the quote."""
    return {
        n
        for n, (start, end) in enumerate(sentences)
        for first, last in quotes
        if 2 * (min(end, last) - max(start, first)) >= min(end - start, last - first)
    }


def idf(texts: Sequence[str]) -> dict[str, float]:
    """The inverse document frequency of each word of the texts."""
    counts = Counter(word for text in texts for word in set(words(text)))
    return {word: math.log(1 + len(texts) / count) for word, count in counts.items()}


def lexical(marked: Marked, rarity: dict[str, float], *, most: int = 2) -> set[int]:
    """The sentences with the largest idf overlap with the question."""
    wanted = set(words(marked.question))
    overlap = []
    for start, end in marked.sentences:
        shared = sorted(wanted & set(words(marked.context[start:end])))  # sums in one order
        overlap.append(sum(rarity.get(word, 0.0) for word in shared))
    return set(sorted(range(len(overlap)), key=lambda n: -overlap[n])[:most])


def judged(found: set[int], evidence: frozenset[int]) -> tuple[float, float, float]:
    """Precision, recall and F1 of one question's citations."""
    right = len(found & evidence)
    precision, recall = right / max(len(found), 1), right / len(evidence)
    return precision, recall, 2 * right / (len(found) + len(evidence))


def interval(ours: Sequence[float], theirs: Sequence[float], *, seed: int = 0) -> tuple[float, ...]:
    """The mean difference of paired figures, its 95 % interval over resampled questions, and the
    share of the resamples in which ours are above theirs."""
    differences = np.array(ours) - np.array(theirs)
    chosen = np.random.default_rng(seed).integers(
        len(differences), size=(RESAMPLES, len(differences))
    )
    means = differences[chosen].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(differences.mean()), float(low), float(high), float((means > 0).mean())


def citations(data: Path, model: Backbone, encoder: Encoder) -> None:
    """Print precision, recall and F1 of the reader's citations and of the baseline's."""
    asked = load_marked(data)
    rarity = idf([marked.context for marked in asked])
    ours, theirs, counts = [], [], []
    for marked in asked:
        document = as_document(marked.context)
        hits = [Hit(each, 1.0) for each in chunk(document)]
        reading = read(model, marked.question, hits, encoder=encoder, force=True)
        quotes = (*reading.quotes, *reading.more, *reading.beside)
        found = cited(marked.sentences, [(q.start, q.end) for q in quotes])
        counts.append(len(found))
        ours.append(judged(found, marked.evidence))
        theirs.append(judged(lexical(marked, rarity), marked.evidence))
    print(f"citations: {len(asked)} questions, {mean(counts):.2f} sentences cited of each")
    for name, left, right in zip(
        ("precision", "recall", "F1"),
        zip(*ours, strict=True),
        zip(*theirs, strict=True),
        strict=True,
    ):
        difference, low, high, above = interval(left, right)
        print(
            f"  {name:9} {mean(left):.3f} against {mean(right):.3f}: {difference:+.3f} [{low:+.3f}, {high:+.3f}],"
            f" above in {above:.1%} of the resamples"
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence, the quotes behind it, and what was done to it; "true" is nothing."""

    sentence: str
    quotes: tuple[str, ...]
    kind: str
    context: str


def pairs(data: Path) -> list[Pair]:
    """The sentences that people wrote from clapnq's evidence, as they are and changed in one thing."""
    truth = []
    for row in rows(data / "qa" / "en" / "clapnq.dev.jsonl.zst"):
        for answer in [] if row["is_impossible"] else row["answers"]:
            text = " ".join(answer["text"].split())
            truth += [
                Pair(
                    text[a:b], tuple(row["evidence"]), "true", row["question"] + "\n" + row["title"]
                )
                for a, b in split(text)
            ]
    changed = []
    for number, pair in enumerate(truth):
        other = truth[(number + len(truth) // 2) % len(truth)]
        for kind, sentence in (
            ("number", _other_number(pair.sentence)),
            ("name", _other_name(pair, other)),
            ("negation", _negated(pair.sentence)),
        ):
            if sentence is not None:
                changed.append(replace(pair, sentence=sentence, kind=kind))
        changed.append(replace(pair, quotes=other.quotes, kind="other quotes"))
    return truth + changed


def _other_number(sentence: str) -> str | None:
    found = re.search(r"\d+", sentence)
    if found is None:
        return None
    return f"{sentence[: found.start()]}{int(found.group()) + 3}{sentence[found.end() :]}"


def _other_name(pair: Pair, other: Pair) -> str | None:
    mine, theirs = names(pair.sentence), names(other.sentence)
    if not mine or not theirs or theirs[0].text in " ".join((*pair.quotes, pair.context)):
        return None
    return f"{pair.sentence[: mine[0].start]}{theirs[0].text}{pair.sentence[mine[0].end :]}"


def _negated(sentence: str) -> str | None:
    if denials(sentence):
        return None
    found = re.search(r"\b(?:is|are|was|were|can|will|has|have|had|could|would)\b", sentence)
    return None if found is None else f"{sentence[: found.end()]} not{sentence[found.end() :]}"


def support(data: Path) -> None:
    """Print how many of the true and of the changed sentences are doubted, of each kind."""
    asked: dict[str, list[bool]] = {}
    for pair in pairs(data):
        doubted = doubt(pair.sentence, pair.quotes, context=pair.context) is not None
        asked.setdefault(pair.kind, []).append(doubted)
    print("support: sentences doubted")
    for kind, doubted in asked.items():
        print(f"  {kind:12} {mean(doubted):.3f} of {len(doubted)}")
    wrong = [each for kind, doubted in asked.items() if kind != "true" for each in doubted]
    print(
        f"  precision {sum(wrong) / (sum(wrong) + sum(asked['true'])):.3f}, recall {mean(wrong):.3f}"
    )


def falsified(data: Path) -> None:
    """Print how often a conflict is noted between RGB's true passages and their falsified ones."""
    for lang in ("en", "zh"):
        asked = list(rows(data / "rag" / lang / f"rgb_{lang}_fact.dev.jsonl.zst"))
        twins, apart, clean = [], [], []
        for row in asked:
            true, false = row["positive"], row["positive_wrong"]
            near = row["negative"][:2]
            twins.append(_noted(row["query"], true[:3], false[:3], near))
            apart.append(_noted(row["query"], true[0::2][:3], false[1::2][:3], near))
            clean.append(bool(contradictions(row["query"], [_hit(t) for t in true[:4] + near])))
        print(
            f"falsified passages, {lang}: {len(asked)} questions; a conflict of a true and a false passage is noted for"
            f" {mean(twins):.3f} where both have the same wording but for the fact, {mean(apart):.3f} where they have not,"
            f" and a conflict for {mean(clean):.3f} where all passages are true"
        )


def _noted(question: str, true: list[str], false: list[str], others: list[str]) -> bool:
    """Whether a conflict names a true and a false passage."""
    hits = [_hit(text) for text in (*true, *false, *others)]
    wrong = set(range(len(true) + 1, len(true) + len(false) + 1))
    return any(
        len(wrong & set(conflict.passages)) == 1 for conflict in contradictions(question, hits)
    )


def _hit(text: str) -> Hit:
    return Hit(chunk(as_document(" ".join(text.split())))[0], 1.0)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="builtin")
    given = parser.parse_args()
    encoder = load_encoder("builtin", threads=1)
    with Backbone.load(given.model, threads=1) as model:
        citations(given.data, model, encoder)
    support(given.data)
    falsified(given.data)


if __name__ == "__main__":
    main()
