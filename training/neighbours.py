"""Measures how much its neighbours should count in a passage's vector (`ingest/context.py`).

    python -m training.neighbours --data FOLDER

Two held-out measures of training text, nDCG@10 of words and vectors mixed as `rag/fuse.py` does:
sentences of Wikipedia articles for documents of two paragraphs each from the rest of their article,
and questions of held-out SQuAD articles for the passage with the answer, whole articles as documents.
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks.collections import Collection, Passage, rows
from benchmarks.retrieval import build
from ingest import context
from ingest.encode import Encoder, load_encoder
from ingest.index import LocalIndex
from rag.fuse import STATIC_WEIGHT, fuse
from rag.retrieve import CANDIDATES
from training.encoder_data import held_out, paragraphs, sentences
from training.fusion import results, smaller

COUNTS = (0.0, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5)


def documents(data: Path) -> Collection:
    """A sentence of an article's first paragraph, for two documents of the next four."""
    rng = random.Random(7)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for title, text in paragraphs(
        data / "text" / "en_wikipedia.txt.zst", limit=1000, budget=14_000_000
    ):
        found[title].append(text)
    passages: list[Passage] = []
    asked: dict[str, str] = {}
    grades: dict[str, dict[str, int]] = {}
    for title, texts in found.items():
        if len(texts) < 5:
            continue
        places = [f"a{len(passages)}", f"a{len(passages) + 1}"]
        halves = ("\n\n".join(texts[1:3]), "\n\n".join(texts[3:5]))
        passages += [Passage(p, "", text) for p, text in zip(places, halves, strict=True)]
        long = [sentence for sentence in sentences(texts[0]) if len(sentence) > 60]
        if long:
            asked[title], grades[title] = rng.choice(long), dict.fromkeys(places, 1)
    return Collection("documents", tuple(passages), asked, grades)


def answering(data: Path, encoder: Encoder) -> float:
    """The nDCG@10 of the passage that holds the answer, of 300 questions over whole articles."""
    held = held_out(data)
    contexts: defaultdict[str, dict[str, None]] = defaultdict(dict)
    asked = []
    for row in rows(data / "qa" / "en" / "squad.train.jsonl.zst"):
        contexts[row["title"]][row["context"]] = None
        if row["id"] in held and row["answers"]:
            asked.append(row)
    texts = {title: "\n\n".join(parts) for title, parts in contexts.items()}
    asked = random.Random(0).sample(asked, min(300, len(asked)))
    total = 0.0
    with tempfile.TemporaryDirectory() as folder:
        index = LocalIndex.open(Path(folder) / "index", encoder=encoder)
        build(index, encoder, [Passage(title, "", text) for title, text in texts.items()])
        for row in asked:
            at = texts[row["title"]].index(row["context"]) + row["answers"][0]["start"]
            vector = encoder.encode_queries([row["question"]])[0]
            hits = fuse(index.search(row["question"], vector, k=CANDIDATES))[:10]
            for rank, hit in enumerate(hits):
                chunk = hit.chunk
                if chunk.source == row["title"] and chunk.start <= at < chunk.end:
                    total += 1 / math.log2(rank + 2)
                    break
        index.close()
    return total / len(asked)


def main() -> None:
    """Reads the options, prints one line for each count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--counts", nargs="*", type=float, default=COUNTS)
    options = parser.parse_args()
    encoder = load_encoder()
    collection = smaller(documents(options.data), passages=None, questions=400)
    for count in options.counts:
        context.NEIGHBOURS = count
        found = results(collection, encoder)[STATIC_WEIGHT].ndcg
        whole = answering(options.data, encoder)
        print(f"{count:g}: documents {found:.4f}, the passage that answers {whole:.4f}", flush=True)


if __name__ == "__main__":
    main()
