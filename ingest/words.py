"""The words leg: how text becomes terms, and BM25 over them with tantivy.

One analysis serves every language: folded words, pairs of neighbouring characters where a script
writes no spaces, and, at a lower weight, character 4-grams, which find inflected and compound words
without a stemmer. Derived from the catalogue: it can be thrown away and built again. Knows nothing
of files, documents or vectors.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.disk import checksum, write_text
from ingest.errors import IndexFault

if TYPE_CHECKING:
    import tantivy

GRAM = 4
GRAM_WEIGHT = 0.3  # of a 4-gram beside a word; 0.2 to 0.5 measured the same
_HEAP = 64_000_000  # bytes that tantivy may fill before it writes a segment
_CHECKS = "checks.json"
_MUTABLE = {"meta.json", ".managed.json", _CHECKS}  # every other file is written once

# Kana, Han and Hangul: scripts whose words are found by pairs of characters.
_CJK = (
    "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_RUN = re.compile(f"(?P<cjk>[{_CJK}]+)|[^\\W_{_CJK}]+")
# Accents (Latin, Greek, Cyrillic), Hebrew points, Arabic vowel signs, hamza marks and tatweel. The
# voicing marks of kana are not among them: they make another letter.
_MARKS = re.compile("[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]+")
_ARABIC = str.maketrans("ىة", "يه")


def words(text: str) -> list[str]:
    """The terms of a text, in order: folded words; runs of CJK characters as overlapping pairs.

    A CJK character that stands alone is its own term. Folding takes away case, accents, width,
    Arabic spelling variants and a final plural s.
    """
    found: list[str] = []
    for run, cjk in _runs(text):
        if cjk:
            found.extend([run[i : i + 2] for i in range(len(run) - 1)] or [run])
        else:
            found.append(_singular(run))
    return found


def grams(text: str) -> list[str]:
    """The parts of a text's words: 4-grams of `<word>`; of CJK runs the single characters."""
    found: list[str] = []
    for run, cjk in _runs(text):
        if cjk:
            found.extend(run)
        else:
            marked = f"<{run}>"
            found.extend(marked[i : i + GRAM] for i in range(max(1, len(marked) - GRAM + 1)))
    return found


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """Each word or CJK run of the folded text, and whether it is CJK."""
    for match in _RUN.finditer(fold(text)):
        yield match.group(), match["cjk"] is not None


def fold(text: str) -> str:
    """A text without case, accents, width and Arabic spelling variants; its length may change."""
    if text.isascii():
        return text.casefold()
    bare = _MARKS.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFC", bare.casefold()).translate(_ARABIC)


def _singular(word: str) -> str:
    plural = len(word) > 3 and word.endswith("s") and not word.endswith("ss") and word.isascii()
    return word[:-1] if plural else word


class WordIndex:
    """BM25 over chunk texts, kept in a tantivy folder or in memory.

    `mark` says what the index holds, in its owner's words; it is committed together with the
    chunks, so it is true after any crash. One process may update, any number may search.
    """

    def __init__(self, index: tantivy.Index, folder: Path | None) -> None:
        self._index = index
        self._schema = index.schema
        self._folder = folder
        self._load()

    @classmethod
    def create(cls, folder: Path | None) -> WordIndex:
        """An empty index in a folder that is empty or absent; None keeps it in memory."""
        import tantivy

        builder = tantivy.SchemaBuilder()
        builder.add_integer_field(
            "id", indexed=True, fast=True
        )  # of "unsigned", deletes find nothing
        builder.add_text_field("mark", stored=True, tokenizer_name="raw", index_option="basic")
        for name in ("words", "grams"):
            builder.add_text_field(name, tokenizer_name="whitespace", index_option="freq")
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        return cls(tantivy.Index(builder.build(), str(folder) if folder else None), folder)

    @classmethod
    def open(cls, folder: Path) -> WordIndex:
        """The index in a folder. Raises IndexFault when it is missing or damaged."""
        import tantivy

        try:
            _verify(folder)
            return cls(tantivy.Index.open(str(folder)), folder)
        except (OSError, ValueError) as error:  # tantivy reports all damage as ValueError
            raise IndexFault(
                f"the word index in {folder} is missing or damaged: {error}"
            ) from error

    @property
    def in_memory(self) -> bool:
        """Whether it is gone when the process ends."""
        return self._folder is None

    def reload(self) -> None:
        """See what another process has committed since. Raises IndexFault when that is damaged."""
        try:
            self._load()
        except ValueError as error:
            raise IndexFault(f"the word index in {self._folder} is damaged: {error}") from error

    def _load(self) -> None:
        self._index.config_reader("manual")
        self._index.reload()
        self._searcher = self._index.searcher()
        found = self._searcher.search(self._term("id", 0), 1, False).hits
        self.mark: str = self._searcher.doc(found[0][1])["mark"][0] if found else ""

    def __len__(self) -> int:
        """How many chunks it holds."""
        return int(self._searcher.num_docs) - bool(self.mark)

    def update(
        self, added: Iterable[tuple[int, str]], removed: Iterable[int], *, mark: str
    ) -> None:
        """Take out and put in chunks (id from 1, text) in one commit; an id put again replaces."""
        try:
            writer = self._index.writer(_HEAP, 1)
            for chunk in removed:
                writer.delete_documents_by_term("id", chunk)
            for chunk, text in added:
                writer.delete_documents_by_term("id", chunk)
                writer.add_document(self._entry(chunk, words(text), grams(text), ""))
            writer.delete_documents_by_term("id", 0)
            writer.add_document(self._entry(0, [], [], mark))
            writer.commit()
            writer.wait_merging_threads()
            self._load()
            if self._folder is not None:
                _record(self._folder)
        except (OSError, ValueError) as error:
            raise IndexFault(f"cannot write the word index in {self._folder}: {error}") from error

    def search(
        self, text: str, k: int, *, allowed: Collection[int] | None = None
    ) -> list[tuple[int, float]]:
        """The best `k` chunks for a text: (id, BM25), best first; `allowed` limits the ids."""
        import tantivy

        legs = (("words", words(text), 1.0), ("grams", grams(text), GRAM_WEIGHT))
        terms = [
            tantivy.Query.boost_query(self._term(field, term), weight * count)
            for field, found, weight in legs
            for term, count in Counter(found).items()
        ]
        if not terms or k < 1 or (allowed is not None and not allowed):
            return []
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, term) for term in terms])
        if allowed is not None:
            inside = tantivy.Query.term_set_query(self._schema, "id", list(allowed))
            inside = tantivy.Query.const_score_query(inside, 0.0)
            query = tantivy.Query.boolean_query(
                [(tantivy.Occur.Must, query), (tantivy.Occur.Must, inside)]
            )
        hits = self._searcher.search(query, k, False).hits
        ids = self._searcher.fast_field_values("id", [address for _, address in hits])
        found = [(int(chunk), float(score)) for chunk, (score, _) in zip(ids, hits, strict=True)]
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))

    def idf(self, terms: Sequence[str]) -> dict[str, float]:
        """The inverse document frequency of each of `words`' terms, as BM25 counts it."""
        total = int(self._searcher.num_docs)
        weights = {}
        for term in set(terms):
            count = int(self._searcher.doc_freq("words", term))
            weights[term] = math.log1p(max(0.0, total - count + 0.5) / (count + 0.5))
        return weights

    @staticmethod
    def _entry(chunk: int, terms: list[str], parts: list[str], mark: str) -> tantivy.Document:
        import tantivy

        entry = tantivy.Document()
        entry.add_integer("id", chunk)
        entry.add_text("words", " ".join(terms))
        entry.add_text("grams", " ".join(parts))
        if mark:
            entry.add_text("mark", mark)
        return entry

    def _term(self, field: str, value: Any) -> tantivy.Query:
        import tantivy

        return tantivy.Query.term_query(self._schema, field, value, "freq")


def _record(folder: Path) -> None:
    """Write down the files' checksums: tantivy notices a cut file, but not a flipped bit."""
    old = json.loads(_read(folder / _CHECKS))
    new = {
        path.name: old.get(path.name) or checksum(path)
        for path in sorted(folder.iterdir())
        if path.name not in _MUTABLE and path.suffix not in {".lock", ".tmp"}
    }
    write_text(folder / _CHECKS, json.dumps(new))


def _verify(folder: Path) -> None:
    """Compare with what was written down. A file that is gone was merged away."""
    for name, expected in json.loads(_read(folder / _CHECKS)).items():
        path = folder / name
        if path.exists() and checksum(path) != expected:
            raise ValueError(f"{name} is not what was written")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else "{}"
