"""The text that the built-in encoder learns from: pairs that belong together, and single texts.

Reads a data folder with `qa/<lang>/<set>.train.jsonl.zst`, `bitext/<set>.<lang>-en.train.jsonl.zst`
and `text/<lang>_<name>.txt.zst`: no other files. Knows nothing of models.
"""

from __future__ import annotations

import io
import random
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import zstandard

from benchmarks.collections import rows

NO_DERIVATIVES = ("korquad1-dev",)
LANGUAGES = ("ar", "de", "en", "es", "fr", "ja", "ko", "pt", "zh")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_SENTENCE_END = re.compile(r"(?<=[.!?؟])\s+|(?<=[。！？])|\n+")

Pair = tuple[str, str]


def held_out(data: Path) -> set[str]:
    """The ids of the training questions that are kept apart, so that choices can be made on them.

    They belong to one article in twelve. Spanish questions follow the English ones they translate.
    """
    held = set()
    for path in sorted((data / "qa").glob("*/*.train.jsonl.zst")):
        if path.name != "squad-es.train.jsonl.zst":
            held |= {r["id"] for r in rows(path) if is_held_out(r["title"])}
    return held


def is_held_out(title: str) -> bool:
    """Whether the questions of the article with this title are kept apart."""
    return zlib.crc32(title.encode()) % 12 == 0


def room(text: str, limit: int) -> int:
    """How many characters of a text fit `limit`, when CJK characters count three."""
    sample = text[:limit]
    return limit // 3 if len(_CJK.findall(sample)) * 2 > len(sample) else limit


def sentences(text: str) -> list[str]:
    """The sentences of a text, stripped, in order."""
    return [s for s in (part.strip() for part in _SENTENCE_END.split(text)) if s]


def paragraphs(path: Path, *, limit: int, budget: int) -> Iterator[tuple[str, str]]:
    """(title, paragraph) of a text file, about `budget` characters spread over the whole of it.

    Short lines are joined until they make a paragraph; `limit` bounds its characters.
    """
    with path.open("rb") as raw:
        text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), "utf-8").read()
    keep = min(1.0, budget / max(1, len(text)))
    chance = random.Random(path.name)
    for document in text.split("\n\f\n"):
        lines = document.strip().split("\n")
        title, held = lines[0][:100], ""
        for line in lines[1:]:
            held = f"{held}\n{line.strip()}" if held else line.strip()
            size = room(held, limit)
            if len(held) < size // 3:
                continue
            if chance.random() < keep:
                yield title, held[:size]
            held = ""


def question_pairs(data: Path, *, limit: int, rng: random.Random) -> dict[str, list[Pair]]:
    """(question, paragraph) by language, from all training sets whose licence allows it."""
    held = held_out(data)
    found: dict[str, list[Pair]] = {}
    for path in sorted((data / "qa").glob("*/*.train.jsonl.zst")):
        if path.name.startswith(NO_DERIVATIVES):
            continue
        pairs = found.setdefault(path.parent.name, [])
        pairs += [
            (row["question"], _around(row, limit, rng))
            for row in rows(path)
            if row["id"] not in held
        ]
    return found


def _around(row: dict, limit: int, rng: random.Random) -> str:
    """The paragraph cut to `limit` around its answer, with the title in front half of the time."""
    context: str = row["context"]
    size = room(context, limit)
    start = max((a["start"] for a in row["answers"]), default=0)
    start = max(0, min(start - rng.randrange(size // 2), len(context) - size))
    cut = context[start : start + size]
    return f"{row['title']}\n{cut}" if row.get("title") and rng.random() < 0.5 else cut


def sentence_pairs(
    data: Path, *, limit: int, count: int, rng: random.Random
) -> dict[str, list[Pair]]:
    """(a sentence, the rest of its paragraph) or (heading, paragraph), up to `count` a language."""
    found: dict[str, list[Pair]] = {}
    for path in sorted((data / "text").glob("*.txt.zst")):
        language = path.name.split("_")[0]
        wanted = count * (8 if language == "en" else 1)
        pairs: list[Pair] = []
        for title, paragraph in paragraphs(path, limit=limit, budget=wanted * limit):
            parts = sentences(paragraph)
            if len(parts) < 2:
                continue
            at = rng.randrange(len(parts))
            rest = " ".join(parts[:at] + parts[at + 1 :])
            if not 3 * len(parts[at]) > room(parts[at], 60) or len(rest) < 40:
                continue
            chance = rng.random()
            if chance < 0.4:
                rest = f"{title}\n{rest}"
            pairs.append((title, rest) if chance > 0.95 else (parts[at], rest))
        rng.shuffle(pairs)
        found[language] = pairs[:wanted]
    return found


def translations(data: Path, *, limit: int, rng: random.Random) -> list[Pair]:
    """(text, its translation) in all directions between the languages that a block exists in.

    Questions are also paired with the paragraph they ask about in the other language.
    """
    held = held_out(data)
    blocks: dict[str, dict[str, str]] = {}
    for path in sorted((data / "bitext").glob("*.train.jsonl.zst")):
        for row in rows(path):
            if row["id"][1:] not in held:
                block = blocks.setdefault(row["id"], {})
                block[row["lang"]], block["en"] = row["text"], row["en"]
    pairs: list[Pair] = []
    for name, block in blocks.items():
        cut = {lang: text[: room(text, limit)] for lang, text in block.items()}
        for lang in cut:
            others = [o for o in cut if o != lang]
            pairs += [
                (cut[lang], cut[o])
                for o in ({"en"} | set(rng.sample(others, min(2, len(others)))))
                if o != lang
            ]
        context = blocks.get("c" + name[1:]) if name.startswith("q") else None
        if context:
            pairs += [(cut[a], context[b][:limit]) for a, b in (("es", "en"), ("en", "es"))]
    rng.shuffle(pairs)
    return pairs


def sample_texts(data: Path, *, budget: int) -> dict[str, list[str]]:
    """Text of each language to count tokens on: the training sets and `budget` characters a file."""
    found: dict[str, list[str]] = {language: [] for language in LANGUAGES}
    for path in sorted((data / "qa").glob("*/*.train.jsonl.zst")):
        if not path.name.startswith(NO_DERIVATIVES):
            texts = found[path.parent.name]
            contexts: dict[str, None] = {}
            for row in rows(path):
                texts.append(row["question"])
                contexts[row["context"]] = None
            texts += contexts
    for path in sorted((data / "bitext").glob("*.train.jsonl.zst")):
        for row in rows(path):
            found[row["lang"]].append(row["text"])
    for path in sorted((data / "text").glob("*.txt.zst")):
        language = path.name.split("_")[0]
        if language in found:
            wanted = budget * (4 if language == "en" else 1)
            found[language] += [p for _, p in paragraphs(path, limit=1000, budget=wanted)]
    return found


def single_texts(data: Path, *, count: int, rng: random.Random) -> dict[str, list[str]]:
    """Short texts for the teacher to place, at most `count` a language: questions and sentences."""
    found: dict[str, set[str]] = {language: set() for language in LANGUAGES}
    for path in sorted((data / "qa").glob("*/*.train.jsonl.zst")):
        if not path.name.startswith(NO_DERIVATIVES):
            for row in rows(path):
                found[path.parent.name] |= {row["question"], *sentences(row["context"])}
    for path in sorted((data / "bitext").glob("*.train.jsonl.zst")):
        for row in rows(path):
            found[row["lang"]] |= set(sentences(row["text"]))
            found["en"] |= set(sentences(row["en"]))
    for path in sorted((data / "text").glob("*.txt.zst")):
        language = path.name.split("_")[0]
        if language in found and len(found[language]) < 2 * count:
            for _, paragraph in paragraphs(path, limit=600, budget=count * 150):
                found[language] |= set(sentences(paragraph))
    result: dict[str, list[str]] = {}
    for language, texts in found.items():
        usable = sorted({t[: room(t, 150)] for t in texts if len(t) >= room(t, 24)})
        result[language] = rng.sample(usable, min(count, len(usable)))
    return result
