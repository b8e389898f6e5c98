"""Does the built-in reader quote the right sentence, and decline what the documents do not answer?

    python -m benchmarks.answers --data DATA [--languages en de] [--count 300] [--model builtin]

Dev questions only. Reading: the gold paragraph among five retrieved ones, an answer forced; the share of
quotes that hold an accepted answer, beside that of the sentence with the largest overlap, and token F1.
Declining: the whole pipeline over an index of all dev paragraphs of the language; in five folds the
articles of a fold leave the index, and their questions should be declined.
Quotes: every citation of the answerable questions is looked up again in its source.
"""

from __future__ import annotations

import argparse
import platform
import re
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

from backbone.backbone import Backbone
from benchmarks.questions import Question, build, five, load, sample
from ingest.encode import Encoder, load_encoder
from ingest.index import LocalIndex
from rag.answer import Answer
from rag.pipeline import Rag
from rag.reader import read
from rag.sentences import rank

LANGUAGES = ("en", "de", "es", "fr", "pt", "ar", "ja", "ko", "zh")
FOLDS = 5
CURVE = [n / 20 for n in range(2, 17)]  # thresholds
_CJK = re.compile(r"[぀-ヿ㐀-鿿]")


def f1(text: str, answers: tuple[str, ...]) -> float:
    """Token F1 with the best accepted answer; Han and kana count by the character."""
    return max((_f1(_tokens(text), _tokens(answer)) for answer in answers), default=0.0)


def _tokens(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", _CJK.sub(lambda m: f" {m.group()} ", text.casefold())))


def _f1(left: Counter[str], right: Counter[str]) -> float:
    same = sum((left & right).values())
    return 2 * same / (sum(left.values()) + sum(right.values())) if same else 0.0


def reading(
    questions: list[Question], index: LocalIndex, encoder: Encoder, model: Backbone
) -> dict[str, float]:
    """Shares of right quotes, by the reader and by overlap alone; F1; milliseconds a question."""
    right, lexical, scores, times = [], [], [], []
    for question in questions:
        hits = five(index, encoder, question)
        began = time.perf_counter()
        found = read(model, question.text, hits, encoder=encoder, force=True)
        times.append(time.perf_counter() - began)
        right.append(any(question.answered_by(q.text) for q in found.quotes))
        best = rank(question.text, [h.chunk.text for h in hits])[:1]
        lexical.append(any(question.answered_by(c.text) for c in best))
        scores.append(f1(found.text, question.answers))
    return {
        "questions": len(questions), "right": mean(right), "lexical": mean(lexical),
        "f1": mean(scores), "ms": 1000 * median(times),
    }  # fmt: skip


@dataclass
class Declining:
    """What became of questions: how sure the answers were (declined ones too), and their citations.

    `kept` are of the answerable questions, `lost` of those whose article left the index.
    """

    kept: list[Answer] = field(default_factory=list)
    lost: list[Answer] = field(default_factory=list)
    citations: int = 0
    violations: int = 0

    def shares(self, threshold: float | None = None) -> tuple[float, float]:
        """The shares declined of lost and kept: as they were, or below another threshold."""

        def declined(answer: Answer) -> bool:
            if threshold is None or answer.confidence is None:
                return not answer.answered
            return answer.confidence < threshold

        return mean(map(declined, self.lost)), mean(map(declined, self.kept))


def declining(
    everything: list[Question],
    asked: list[Question],
    encoder: Encoder,
    model: Backbone,
    folder: Path,
) -> Declining:
    """Ask all questions over everything, and those of each fold without its articles."""
    articles = sorted({q.article for q in everything})
    fold = {article: number % FOLDS for number, article in enumerate(articles)}
    found = Declining()
    for number in range(-1, FOLDS):  # -1: nothing leaves
        home = folder / f"fold{number}"
        build(home, (q.context for q in everything if fold[q.article] != number), encoder).close()
        with Rag.open(home, generator=model, encoder=encoder) as rag:
            for question in asked:
                if number >= 0 and fold[question.article] != number:
                    continue
                answer = rag.ask(question.text)
                (found.kept if number < 0 else found.lost).append(answer)
                for c in answer.citations:
                    found.citations += 1
                    found.violations += rag.text(c.source)[c.start : c.end] != c.quote
    return found


def main() -> None:
    """Print a line a language, then the figures that pool them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--languages", nargs="*", default=LANGUAGES)
    parser.add_argument("--count", type=int, default=300, help="questions a set, at most")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--only", choices=("reading", "declining"))
    given = parser.parse_args()
    print(
        f"machine: {platform.processor() or platform.machine()}, model {given.model}, at most {given.count} questions a set"
    )
    encoder = load_encoder("builtin", threads=1)
    wins, pooled, declined = 0, [], []
    with Backbone.load(given.model, threads=1) as model:
        for lang in given.languages:
            everything = load(given.data, lang, "dev")
            sets = sorted({q.set for q in everything})
            asked = {
                s: sample([q for q in everything if q.set == s and q.answers], given.count)
                for s in sets
            }
            line = [lang]
            with tempfile.TemporaryDirectory() as folder:
                if given.only != "declining":
                    index = build(Path(folder) / "all", (q.context for q in everything), encoder)
                    results = {s: reading(qs, index, encoder, model) for s, qs in asked.items()}
                    index.close()
                    for s, r in results.items():
                        line.append(
                            f"{s} {r['right']:.3f} (overlap {r['lexical']:.3f}, F1 {r['f1']:.3f}, n {r['questions']}, {r['ms']:.0f} ms)"
                        )
                    total = sum(r["questions"] for r in results.values())
                    ours = sum(r["right"] * r["questions"] for r in results.values()) / total
                    theirs = sum(r["lexical"] * r["questions"] for r in results.values()) / total
                    wins += ours > theirs
                    line.append(f"all {ours:.3f} against {theirs:.3f}")
                    pooled += [
                        r for s, r in results.items() if lang == "en" and s in ("squad", "xquad")
                    ]
                if given.only != "reading":
                    some = sample([q for qs in asked.values() for q in qs], given.count)
                    declined.append(declining(everything, some, encoder, model, Path(folder)))
                    lost, kept = declined[-1].shares()
                    line.append(
                        f"declined {lost:.3f} of the unanswerable, {kept:.3f} of the answerable"
                    )
            print("  ".join(line), flush=True)
    if pooled:
        n = sum(r["questions"] for r in pooled)
        print(
            f"squad + xquad-en pooled: {sum(r['right'] * r['questions'] for r in pooled) / n:.3f} right, overlap {sum(r['lexical'] * r['questions'] for r in pooled) / n:.3f}, n {n}"
        )
    if given.only != "declining":
        print(f"overlap beaten in {wins} of {len(given.languages)} languages")
    if given.only != "reading":
        print(
            f"citations {sum(d.citations for d in declined)}, not verbatim {sum(d.violations for d in declined)}"
        )
        print("declined below a threshold, means over the languages: unanswerable, answerable")
        for threshold in CURVE:
            shares = [each.shares(threshold) for each in declined]
            print(
                f"  {threshold:.2f}  {mean(s[0] for s in shares):.3f}  {mean(s[1] for s in shares):.3f}"
            )


if __name__ == "__main__":
    main()
