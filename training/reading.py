"""Training examples for the built-in reader: token ids, and for every answer token where it was copied from.

Two kinds: questions of the public training sets, with the gold paragraph among others of its article, and
cloze questions made from plain text (a name or number that recurs in another paragraph is asked for).
Only `*.train.*` and `text/` are read.
"""

from __future__ import annotations

import io
import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zstandard
from tokenizers import Tokenizer

from backbone.request import Mark
from benchmarks.collections import rows
from rag import reader_prompt
from rag.sentences import Candidate, rank, split, terms

# korquad's licence forbids derivatives, so it is not here; nor are rgb, pira and scifact.
QA = {  # how often each question is asked
    "en/squad": 0.9, "en/fairytaleqa": 0.6, "es/squad-es": 0.8, "ja/jaquad": 0.36, "zh/cmrc2018": 1,
    "fr/piaf": 1, "ar/arcd": 3, "pt/faquad": 3,
}  # fmt: skip
CLOZE = {"en_wikipedia": 2000, "ko_wikipedia": 2500, "de_gesetze": 2000}  # questions made
ASK = {  # when, how many, what
    "en": ("when", "how many", "what"), "de": ("wann", "wie viele", "was"),
    "ko": ("언제", "얼마나", "무엇"),
}  # fmt: skip
LONGEST = 800  # tokens of an example


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its passages (the first holds the answer unless `answer` is None) and their title."""

    text: str
    passages: tuple[str, ...]
    answer: tuple[int, int] | None
    title: str | None


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of prompt and reply; `pointers[i]` is where reply token i stands in the prompt, or -1."""

    ids: np.ndarray  # uint16 [n]
    reply: int  # where the reply begins
    pointers: np.ndarray  # int16 [n - reply]


def documents(path: Path) -> Iterator[str]:
    """The documents of a compressed text file, separated by form feeds."""
    with path.open("rb") as raw:
        reader = zstandard.ZstdDecompressor().stream_reader(raw)
        block: list[str] = []
        for line in io.TextIOWrapper(reader, encoding="utf-8"):
            if line == "\f\n":
                yield "".join(block)
                block = []
            else:
                block.append(line)
        yield "".join(block)


def qa_questions(
    path: Path, share: float, chance: random.Random, held: Collection[str]
) -> Iterator[Question]:
    """Questions of a training set, each with four other paragraphs, mostly similar ones of its article.

    Those whose ids are in `held` are kept apart, for what is fitted on the trained reader.
    """
    data = [row for row in rows(path) if row["id"] not in held]
    articles: dict[str, dict[str, set[str]]] = defaultdict(dict)
    for row in data:
        keys = articles[row["title"]]
        if row["context"] not in keys:
            keys[row["context"]] = {t.key for t in terms(row["context"])}
    everything = [c for keys in articles.values() for c in keys]
    times = [row for row in data for _ in range(int(share))]
    times += [row for row in data if chance.random() < share % 1]
    for row in times:
        keys, wanted = articles[row["title"]], {t.key for t in terms(row["question"])}
        near = sorted(
            (c for c in keys if c != row["context"]), key=lambda c: -len(wanted & keys[c])
        )
        others = near[: chance.choice((2, 4, 4, 4))]
        others += chance.sample(everything, min(8, len(everything)))
        others = [c for c in dict.fromkeys(others) if c != row["context"]][:4]
        title = row["title"] if chance.random() < 0.5 else None
        if row["is_impossible"]:
            if chance.random() < 0.4:
                yield Question(row["question"], (row["context"], *others), None, title)
            continue
        spans = [
            (a["start"], a["start"] + len(a["text"])) for a in row["answers"] if a["start"] >= 0
        ]
        if not spans:
            continue
        if chance.random() < 0.15:
            golds = [a["text"].casefold() for a in row["answers"]]
            others = [c for c in others if not any(g in c.casefold() for g in golds)]
            if others:
                yield Question(row["question"], tuple(others), None, title)
            continue
        yield Question(
            row["question"], (row["context"], *others), min(spans, key=lambda s: s[1] - s[0]), title
        )


_NUMBER = re.compile(r"^\d[\d.,]*$")


def cloze_questions(path: Path, count: int, chance: random.Random) -> Iterator[Question]:
    """Sentences turned into questions whose answer recurs in another paragraph of the same article."""
    lang = path.name[:2]
    made = 0
    for text in documents(path):
        paragraphs = [
            p.strip()
            for p in re.split(r"\n+", text)
            if 150 < len(p) < 1600 or (lang in "ko zh" and 80 < len(p) < 900)
        ]
        title = text.strip().split("\n", 1)[0][:60]
        for at in range(0, min(len(paragraphs), 200), 25):
            for question in _cloze_of(paragraphs[at : at + 25], title, lang, chance):
                yield question
                made += 1
                if made == count:
                    return


def _cloze_of(
    paragraphs: Sequence[str], title: str, lang: str, chance: random.Random
) -> Iterator[Question]:
    if len(paragraphs) < 5:
        return
    places: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for p, paragraph in enumerate(paragraphs):
        for word in re.finditer(r"\w[\w.,]*\w|\w", paragraph):
            w = word.group()
            number = bool(_NUMBER.match(w)) and len(w) >= 2
            name = (
                len(w) >= 4
                and w[0].isupper()
                and word.start() > 2
                and paragraph[word.start() - 2] not in ".!?\n"
            )
            hangul = lang == "ko" and len(w) >= 3
            if number or name or hangul:
                places[w].append((p, word.start(), word.end()))
    usable = [w for w, at in places.items() if 2 <= len({p for p, _, _ in at}) <= 3]
    chance.shuffle(usable)
    for word in usable[:4]:
        at = {p: (start, end) for p, start, end in places[word]}
        asked, gold = chance.sample(sorted(at), 2)
        question = _ask(paragraphs[asked], at[asked], lang, chance)
        keys = {t.key for t in terms(question)}
        sentence = next((s for s in split(paragraphs[gold]) if s[0] <= at[gold][0] < s[1]), None)
        if sentence is None:
            continue
        shared = keys & {t.key for t in terms(paragraphs[gold][slice(*sentence)])}
        rare = [k for k in shared if sum(k in p.casefold() for p in paragraphs) <= 4 and len(k) > 1]
        if len(rare) < 2:
            continue
        others = [p for i, p in enumerate(paragraphs) if i not in (asked, gold)]
        others = sorted(others, key=lambda p: -len(keys & {t.key for t in terms(p)}))[:4]
        others = [p for p in others if word not in p]
        yield Question(
            question,
            (paragraphs[gold], *others),
            at[gold],
            title if chance.random() < 0.5 else None,
        )


def _ask(paragraph: str, span: tuple[int, int], lang: str, chance: random.Random) -> str:
    """The sentence around a span as a question: the span leaves, a question word leads, words are dropped."""
    start, end = next((s for s in split(paragraph) if s[0] <= span[0] < s[1]), (0, len(paragraph)))
    word = paragraph[slice(*span)]
    year = bool(re.fullmatch(r"1\d{3}|20\d{2}", word))
    ask = ASK[lang][0 if year else 1 if _NUMBER.match(word) else 2]
    kept = [
        w
        for w in (paragraph[start : span[0]] + " " + paragraph[span[1] : end]).split()
        if chance.random() > 0.25
    ]
    first = chance.randrange(max(1, len(kept) - 14)) if len(kept) > 14 else 0
    return f"{ask} {' '.join(kept[first : first + 14])}?"


class Encoding:
    """Questions → examples with one tokenizer; contents are encoded as the chat does it, part by part."""

    def __init__(self, tokenizer: Tokenizer, chance: random.Random) -> None:
        self._tokenizer = tokenizer
        self._chance = chance
        self._before = self._ids("<|startoftext|><|im_start|>user\n")
        self._after = self._ids("<|im_end|>\n<|im_start|>assistant\n")
        self._end = tokenizer.token_to_id("<|im_end|>")

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def example(self, question: Question) -> Example | None:
        """The example of a question, or None when the answer is out of the prompt's reach."""
        order = list(range(len(question.passages)))
        self._chance.shuffle(order)
        passages = [question.passages[i] for i in order]
        headings = [question.title] * len(passages) if question.title else ()
        ranked = rank(question.text, passages, headings)
        chosen = reader_prompt.choose(ranked, limit=self._chance.choice((6, 8, 8, 10, 12)))
        gold = None
        if question.answer is not None:
            start, end = question.answer
            home = order.index(0)
            gold = next(
                (
                    k
                    for k, c in enumerate(chosen)
                    if c.passage == home and c.start <= start and end <= c.end
                ),
                None,
            )
            if gold is None:
                return None
        content = reader_prompt.message(question.text, chosen, headings).content
        ids, spans, marks = self._content(content)
        reply, pointers = self._reply(question, chosen, gold, ids, spans, marks)
        if len(ids) + len(self._after) + len(reply) > LONGEST:
            return None
        whole = np.array([*ids, *self._after, *reply], np.uint16)
        return Example(whole, len(whole) - len(reply), np.array(pointers, np.int16))

    def _content(
        self, content: tuple[str | Mark, ...]
    ) -> tuple[list[int], list[tuple[int, int]], dict[int, int]]:
        """Ids, the character span in its sentence of each (-1 outside), and where sentence k is closed."""
        ids, spans, marks = list(self._before), [(-1, -1)] * len(self._before), {}
        offset = -len(str(content[0]))  # the question: not part of a sentence
        texts = iter(
            self._tokenizer.encode_batch(
                [p for p in content if isinstance(p, str)], add_special_tokens=False
            )
        )
        for part in content:
            if isinstance(part, Mark):
                if part.token != "<m>":
                    marks[len(marks)] = len(ids)
                    offset = 0
                ids.append(self._tokenizer.token_to_id(part.token))
                spans.append((-1, -1))
                continue
            if part.startswith("\n"):
                offset = -len(part)  # a heading: not part of a sentence
            encoded = next(texts)
            ids += encoded.ids
            spans += [(a + offset, b + offset) for a, b in encoded.offsets]
            offset += len(part)
        return ids, spans, marks

    def _reply(
        self, question: Question, chosen: Sequence[Candidate], gold: int | None,
        ids: list[int], spans: list[tuple[int, int]], marks: dict[int, int],
    ) -> tuple[list[int], list[int]]:  # fmt: skip
        if gold is None or question.answer is None:
            return [self._tokenizer.token_to_id("<no>"), self._end], [0, -1]
        # sentence_parts put one space before the sentence
        start = question.answer[0] - chosen[gold].start + 1
        end = question.answer[1] - chosen[gold].start + 1
        first = marks[gold - 1] + 1 if gold else len(self._before)
        where = [
            i for i in range(first, marks[gold])
            if spans[i][0] >= 0 and spans[i][1] > start and spans[i][0] < end
        ]  # fmt: skip
        where = where[:24]
        return [ids[marks[gold]], *(ids[i] for i in where), self._end], [marks[gold], *where, -1]


def train_tokenizer(texts: Iterator[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE in the family's manner, with the reader's marks as special tokens."""
    from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

    split_at = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(split_at), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    special = [
        "<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<m>", "<no>",
        *(f"<s{k}>" for k in range(16)),
    ]  # fmt: skip
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, min_frequency=2, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def tokenizer_texts(data: Path, chance: random.Random) -> Iterator[str]:
    """About 2.5 MB of text for each of the nine languages: questions, their paragraphs, and plain text."""
    room = Counter(dict.fromkeys(["en", "de", "es", "fr", "pt", "ja", "zh", "ko", "ar"], 2_500_000))
    for name in QA:
        lang = name[:2]
        for row in rows(data / "qa" / f"{name}.train.jsonl.zst"):
            if room[lang] < 800_000 and lang not in ("ar",):
                break
            piece = row["question"] + "\n" + row["context"]
            room[lang] -= len(piece.encode())
            yield piece
    for path in sorted((data / "text").glob("*.txt.zst")):
        lang = path.name[:2]
        for text in documents(path):
            if path.name.startswith("multi"):
                yield text[:20_000]
                continue
            if room[lang] < 0:
                break
            start = chance.randrange(max(1, len(text) - 30_000))
            piece = text[start : start + 30_000]
            room[lang] -= len(piece.encode())
            yield piece
