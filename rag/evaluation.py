"""The nouns of an evaluation: what became of each question, under which conditions, and the means.

Plain values and their JSON form, which is what a later run is compared with. Knows nothing of how
anything is asked or shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rag.errors import QuestionsError
from rag.measures import Interval, interval, mean, percentile
from rag.testset import Case

FORMAT = 1  # of the JSON
RANKS = 10  # passages that nDCG and MRR look at


@dataclass(frozen=True, slots=True)
class Measure:
    """A mean over those questions that say something about it. `lower` when less is better."""

    key: str
    label: str
    group: str
    lower: bool = False


MEASURES = (
    Measure("ndcg", f"nDCG@{RANKS}", "retrieval"),
    Measure("recall", "recall@k", "retrieval"),
    Measure("mrr", f"MRR@{RANKS}", "retrieval"),
    Measure("precision", "precision@k", "retrieval"),
    Measure("right", "right", "answers"),
    Measure("holds", "holds an accepted answer", "answers"),
    Measure("f1", "token F1", "answers"),
    Measure("exact", "exact match", "answers"),
    Measure("citation_precision", "precision", "citations"),
    Measure("citation_recall", "recall", "citations"),
    Measure("declined_rightly", "of the unanswerable", "declined"),
    Measure("declined_wrongly", "of the answerable", "declined", lower=True),
)
TIMES = (("retrieve", "retrieval"), ("first", "first text"), ("total", "in all"))


@dataclass(frozen=True, slots=True)
class Facts:
    """What makes two runs comparable, or not.

    `version` of the product; `date` of the run, ISO 8601; `generation`, `documents` and `passages`
    of the index; `k` passages were read; nothing was answered when `retrieval_only`.
    """

    version: str
    date: str
    processor: str
    encoder: str
    model: str | None
    k: int
    generation: int
    documents: int
    passages: int
    retrieval_only: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A passage that was found, or a quote that was cited. `right` says whether it holds a place
    where the answer is known to stand; None where none is known."""

    source: str
    page: int | None
    heading: str | None
    start: int
    end: int
    text: str
    right: bool | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a question.

    `values` are its measures, by the keys of MEASURES; one that says nothing about it is absent.
    `seconds` are by the keys of TIMES. `confidence` is the model's own, where it has one. `error`
    says why it could not be asked; it then counts as neither answered nor declined.
    """

    case: Case
    values: Mapping[str, float] = field(default_factory=dict)
    answered: bool = False
    text: str = ""
    reason: str | None = None
    confidence: float | None = None
    passages: tuple[Part, ...] = ()
    citations: tuple[Part, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None

    @property
    def right(self) -> bool | None:
        """Whether it went as it should; None when nothing tells."""
        value = self.values.get("right", self.values.get("recall"))
        return None if value is None else value > 0

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Result:
        """A result from its plain JSON values. Raises TypeError or KeyError."""
        case = {key: _frozen(value) for key, value in row["case"].items()}
        parts = {name: tuple(Part(**p) for p in row[name]) for name in ("passages", "citations")}
        return cls(**{**row, **parts, "case": Case(**case)})


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, how many questions it is of, and where it lies with 95 % confidence, if that can be
    said."""

    mean: float
    count: int
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A run over a test set; not `complete` when it was stopped."""

    facts: Facts
    results: tuple[Result, ...]
    complete: bool = True

    @property
    def measures(self) -> dict[str, Estimate]:
        """The means by the keys of MEASURES, without those that no question says anything about."""
        found = {}
        for measure in MEASURES:
            values = values_of(self.results, measure.key)
            if values:
                found[measure.key] = Estimate(mean(values), len(values), interval(values))
        return found

    @property
    def seconds(self) -> dict[str, dict[str, float]]:
        """Median and 95th percentile, by the keys of TIMES."""
        found = {}
        for key, _ in TIMES:
            times = [r.seconds[key] for r in self.results if key in r.seconds]
            if times:
                found[key] = {"median": percentile(times, 0.5), "p95": percentile(times, 0.95)}
        return found

    @property
    def errors(self) -> list[Result]:
        """The questions that could not be asked."""
        return [result for result in self.results if result.error]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, with the names and order of `rag eval --json`."""
        return {
            "format": FORMAT,
            "facts": asdict(self.facts),
            "complete": self.complete,
            "measures": {key: asdict(found) for key, found in self.measures.items()},
            "seconds": self.seconds,
            "questions": [asdict(result) for result in self.results],
        }

    def save(self, path: Path) -> None:
        """Write the JSON that `load` reads, whole or not at all."""
        from ingest.disk import write_text

        write_text(path, json.dumps(self.to_json(), ensure_ascii=False, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Evaluation:
        """An earlier run from its JSON. Raises QuestionsError."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["format"] != FORMAT:
                raise QuestionsError(
                    f"{path} has format {found['format']} and this version reads {FORMAT}: "
                    "run the evaluation again with --save"
                )
            results = tuple(Result.from_json(row) for row in found["questions"])
            return cls(Facts(**found["facts"]), results, bool(found["complete"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise QuestionsError(
                f"{path} is no earlier run: keep one with `rag eval FILE --save RUN`"
            ) from error


def values_of(results: Sequence[Result], key: str) -> list[float]:
    """What the questions say about a measure."""
    return [result.values[key] for result in results if key in result.values]


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
