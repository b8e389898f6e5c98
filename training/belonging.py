"""Fit what makes a sentence belong to an answer (`_BELONGING` in `rag/reader.py`); prints the weights.

    python -m training.belonging --data DATA

Train questions that ask for no name, number or date, over their own paragraph of at least four
sentences; those that the models were not trained on first. Softmax regression over the sentences.
The weight of being the first sentence is not fitted here: no train set marks several sentences.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from backbone.backbone import Backbone
from benchmarks.questions import Question, as_document, load
from ingest.chunk import chunk
from ingest.document import Hit
from ingest.encode import Encoder, load_encoder
from rag.reader import belonging, weigh
from rag.sentences import split
from training.calibrate import LEFT_OUT, softmax_weights, unseen_first

COUNTS = {"en": 1200, "es": 400, "fr": 400, "pt": 300}
NAMES = ("model", "overlap", "cosine", "length", "telling words")
# Questions that one phrase answers; the others want sentences.
FACT = re.compile(
    r"\b(who|whom|whose|when|where|how (many|much|old|long|far|tall)|which"
    r"|what (year|day|date|month|percent\w*|number|name|city|country|color|age|type|kind)"
    r"|quel\w*|qui|quand|où|combien|cuánt\w*|cuándo|quién\w*|dónde|cuál\w*"
    r"|quem|quando|onde|quant\w*|qual|quais)\b",
    re.I,
)


def rows(
    model: Backbone, encoder: Encoder, questions: list[Question]
) -> list[tuple[list[tuple[float, ...]], list[bool]]]:
    """The signals of each sentence of a question's paragraph, and which hold an answer."""
    found = []
    for question in questions:
        hits = [Hit(each, 1.0) for each in chunk(as_document(question.context))]
        evidence = weigh(model, question.text, hits, encoder=encoder)
        gold = [question.answered_by(candidate.text) for candidate in evidence.candidates]
        if any(gold) and not all(gold):
            signals = [belonging(question.text, evidence, n) for n in range(len(gold))]
            found.append(([s[: len(NAMES)] for s in signals], gold))
    return found


def wanted(question: Question) -> bool:
    """Whether a question is one to fit on."""
    return (
        bool(question.answers)
        and not FACT.search(question.text)
        and question.answered_by(question.context)
        and len(split(question.context)) >= 4
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    encoder = load_encoder("builtin", threads=1)
    found = []
    with Backbone.load("builtin", threads=1) as model:
        for lang, count in COUNTS.items():
            questions = load(given.data, lang, "train", leave_out=LEFT_OUT)
            some = unseen_first([q for q in questions if wanted(q)], count)
            found += rows(model, encoder, some)
            print(lang, len(found), flush=True)
    print(softmax_weights(found, NAMES, decay=1e-3))


if __name__ == "__main__":
    main()
