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
from pathlib import Path
from statistics import mean, median

from backbone.backbone import Backbone
from benchmarks.questions import Question, build, five, load, sample
from ingest.encode import Encoder, load_encoder
from ingest.index import LocalIndex
from rag.pipeline import Rag
from rag.reader import read
from rag.sentences import rank

LANGUAGES = ("en", "de", "es", "fr", "pt", "ar", "ja", "ko", "zh")
FOLDS = 5
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


def declining(
    everything: list[Question],
    asked: list[Question],
    encoder: Encoder,
    model: Backbone,
    folder: Path,
) -> tuple[float, float, int, int]:
    """Shares declined of the answerable and of those whose article left the index; citations, violations."""
    articles = sorted({q.article for q in everything})
    fold = {article: number % FOLDS for number, article in enumerate(articles)}
    kept_declined, lost_declined = [], []
    citations = violations = 0
    for number in range(-1, FOLDS):  # -1: nothing leaves
        home = folder / f"fold{number}"
        build(home, (q.context for q in everything if fold[q.article] != number), encoder).close()
        with Rag.open(home, generator=model, encoder=encoder) as rag:
            for question in asked:
                if number >= 0 and fold[question.article] != number:
                    continue
                answer = rag.ask(question.text)
                (kept_declined if number < 0 else lost_declined).append(not answer.answered)
                for c in answer.citations:
                    citations += 1
                    violations += rag.text(c.source)[c.start : c.end] != c.quote
    return mean(kept_declined), mean(lost_declined), citations, violations


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
    wins, pooled, citations, violations = 0, [], 0, 0
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
                    kept, lost, cited, wrong = declining(
                        everything, some, encoder, model, Path(folder)
                    )
                    citations, violations = citations + cited, violations + wrong
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
        print(f"citations {citations}, not verbatim {violations}")


if __name__ == "__main__":
    main()
