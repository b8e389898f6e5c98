"""Fits how an encoder's vectors weigh beside the words (`STATIC_WEIGHT`, … in `rag/fuse.py`).

    python -m training.fusion --data FOLDER [--encoder NAME] [--passages N] [--questions N]

Asks the training questions that the encoder was not trained on (`held_out`) over the paragraphs of
their language's training sets and plain text, the Spanish ones over the English paragraphs too, and
single sentences of Wikipedia articles for the rest of their article. Prints, for each weight, the
nDCG@10 in one language, the worst loss against the words alone in any, and both other measures.
`--passages` takes fewer, for an encoder that is slow: those that answer, and some others.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks.collections import Collection, Measures, Passage, measure, rows
from benchmarks.retrieval import build
from ingest.document import Hit
from ingest.encode import Encoder, load_encoder
from ingest.index import LocalIndex
from rag.fuse import fuse
from rag.retrieve import CANDIDATES
from training.encoder_data import held_out, paragraphs, sentences

LANGUAGES = ("ar", "en", "es", "fr", "ja", "pt", "zh")
WEIGHTS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0)


def questions(data: Path, language: str, held: set[str]) -> Collection:
    """A language's held-out questions over its training paragraphs and plain text."""
    numbers: dict[tuple[str, str], str] = {}
    asked: dict[str, str] = {}
    grades: dict[str, dict[str, int]] = {}
    for path in sorted((data / "qa" / language).glob("*.train.jsonl.zst")):
        for row in rows(path):
            place = numbers.setdefault((row["context"], row["title"]), f"p{len(numbers)}")
            if row["id"] in held:
                asked[row["id"]], grades[row["id"]] = row["question"], {place: 1}
    passages = [Passage(number, title, text) for (text, title), number in numbers.items()]
    for path in sorted((data / "text").glob(f"{language}_*.txt.zst")):
        for title, text in paragraphs(path, limit=900, budget=3_000_000):
            passages.append(Passage(f"t{len(passages)}", title, text))
    return Collection(language, tuple(passages), asked, grades)


def across(data: Path, english: Collection, held: set[str]) -> Collection:
    """Spanish translations of held-out English questions over the English paragraphs."""
    places = {passage.text: passage.id for passage in english.passages}
    contexts = {
        row["id"]: row["context"] for row in rows(data / "qa" / "en" / "squad.train.jsonl.zst")
    }
    asked, grades = {}, {}
    for row in rows(data / "bitext" / "squad_es_mt.es-en.train.jsonl.zst"):
        kind, question = row["id"][:1], row["id"][1:]
        if kind == "q" and question in held and question in contexts:
            asked[question] = row["text"]
            grades[question] = {places[contexts[question]]: 1}
    return Collection("es-en", english.passages, asked, grades)


def articles(data: Path) -> Collection:
    """One sentence of an English Wikipedia article, for the article's other paragraphs."""
    rng = random.Random(5)
    found: defaultdict[str, list[str]] = defaultdict(list)
    wikipedia = data / "text" / "en_wikipedia.txt.zst"
    for title, text in paragraphs(wikipedia, limit=1000, budget=14_000_000):
        found[title].append(text)
    passages: list[Passage] = []
    asked: dict[str, str] = {}
    grades: dict[str, dict[str, int]] = {}
    for title, texts in found.items():
        first, rest = texts[0], texts[1:8]
        long = [sentence for sentence in sentences(first) if len(sentence) > 60]
        if len(rest) > 1 and long:
            places = [f"a{len(passages) + number}" for number in range(len(rest))]
            passages += [Passage(p, "", text) for p, text in zip(places, rest, strict=True)]
            asked[title], grades[title] = rng.choice(long), dict.fromkeys(places, 1)
    return Collection("articles", tuple(passages), asked, grades)


def smaller(collection: Collection, *, passages: int | None, questions: int) -> Collection:
    """At most so many of the questions, and of the passages those that answer and some others."""
    chance = random.Random(0)
    names = sorted(collection.questions)
    asked = chance.sample(names, min(questions, len(names)))
    kept = collection.passages
    if passages is not None:
        answering = {place for name in asked for place in collection.grades[name]}
        others = [passage.id for passage in kept if passage.id not in answering]
        chosen = answering.union(
            chance.sample(others, max(0, min(passages, len(kept)) - len(answering)))
        )
        kept = tuple(passage for passage in kept if passage.id in chosen)
    return Collection(
        collection.name, kept, {n: collection.questions[n] for n in asked}, collection.grades
    )


def candidates(collection: Collection, encoder: Encoder) -> dict[str, list[Hit]]:
    """What the index gives to be mixed, by question."""
    with tempfile.TemporaryDirectory() as folder:
        index = LocalIndex.open(Path(folder) / "index", encoder=encoder)
        build(index, encoder, collection.passages)
        found = {}
        for name, question in collection.questions.items():
            vector = encoder.encode_queries([question])[0]
            found[name] = index.search(question, vector, k=CANDIDATES)
        index.close()
    return found


def ranked(hits: list[Hit], weight: float | None) -> list[str]:
    """The passages in the order that a weight gives (None: by words alone), each once."""
    if weight is None:
        ordered = sorted(hits, key=lambda hit: -hit.words)
    else:
        ordered = fuse(hits, weight=weight)
    return list(dict.fromkeys(hit.chunk.source for hit in ordered))


def results(collection: Collection, encoder: Encoder) -> dict[float | None, Measures]:
    """The measures of each weight on one collection; None is the words alone."""
    found = candidates(collection, encoder)
    return {
        weight: measure({n: ranked(hits, weight) for n, hits in found.items()}, collection.grades)
        for weight in (None, *WEIGHTS)
    }


def collections(data: Path) -> Iterator[Collection]:
    """All collections, one language's after the other, then the two others."""
    held = held_out(data)
    for language in LANGUAGES:
        collection = questions(data, language, held)
        yield collection
        if language == "en":
            yield across(data, collection, held)
    yield articles(data)


def main() -> None:
    """Reads the options, prints one line a collection and then one a weight."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--passages", type=int, help="of each collection, about; all by default")
    parser.add_argument("--questions", type=int, default=300, help="of each collection, at most")
    options = parser.parse_args()
    encoder = load_encoder(options.encoder)
    measured: dict[str, dict[float | None, Measures]] = {}
    for collection in collections(options.data):
        part = smaller(collection, passages=options.passages, questions=options.questions)
        measured[part.name] = results(part, encoder)
        line = "".join(f"{m.ndcg:7.3f}" for m in measured[collection.name].values())
        print(f"{part.name:<9}{len(part.questions):>5}{line}", flush=True)
    for weight in (None, *WEIGHTS):
        own = [measured[language][weight].ndcg for language in LANGUAGES]
        losses = [measured[name][None].ndcg - own[i] for i, name in enumerate(LANGUAGES)]
        print(
            f"weight {weight or 'words':>5}: one language {sum(own) / len(own):.4f} (loses at most "
            f"{max(losses):.3f}), articles {measured['articles'][weight].ndcg:.3f}, "
            f"across recall {measured['es-en'][weight].recall:.3f}"
        )


if __name__ == "__main__":
    main()
