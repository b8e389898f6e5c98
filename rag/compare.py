"""A run of a test set beside an earlier one: what changed, what got worse, and whether by chance.

Only questions that stand in both runs, word for word, are compared, each with itself. Knows nothing
of how they were asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rag.errors import QuestionsError
from rag.evaluation import MEASURES, Evaluation, Facts, Measure, Result
from rag.measures import Interval, bootstrap, mean
from rag.testset import Case

TOLERANCE = 0.05  # of a mean between 0 and 1
_EXACT = 1e-9

Pair = tuple[Result, Result]  # of one question: before, now


@dataclass(frozen=True, slots=True)
class Change:
    """A measure before and now, over the `count` questions that have it in both runs.

    `interval` holds the mean difference with 95 % confidence (paired bootstrap); None for one
    question. `worse` says that it is a regression.
    """

    measure: Measure
    before: float
    now: float
    count: int
    interval: Interval | None
    worse: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs of the same questions.

    `broken` were right and are wrong, `mended` the other way round. `added`, `gone` and `edited`
    questions are in one run alone, or are not the same in both. `conditions` are the facts that
    differ: name, before, now.
    """

    changes: tuple[Change, ...]
    broken: tuple[Pair, ...]
    mended: tuple[Pair, ...]
    compared: int
    added: int
    gone: int
    edited: int
    conditions: tuple[tuple[str, str, str], ...]

    @property
    def regressions(self) -> list[Change]:
        """What got worse."""
        return [change for change in self.changes if change.worse]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; questions by their ids."""
        return {
            "changes": [asdict(c) | {"measure": c.measure.key} for c in self.changes],
            "regressions": [change.measure.key for change in self.regressions],
            "broken": [now.case.id for _, now in self.broken],
            "mended": [now.case.id for _, now in self.mended],
            **{name: getattr(self, name) for name in ("compared", "added", "gone", "edited")},
            "conditions": [list(one) for one in self.conditions],
        }


def compare(before: Evaluation, now: Evaluation, *, tolerance: float = TOLERANCE) -> Comparison:
    """What changed between two runs.

    A measure regressed when its mean got worse by more than `tolerance`, however few the questions,
    or by less and beyond chance: when the 95 % interval of the paired difference has no part of
    zero or better. Raises QuestionsError when no question is in both.
    """
    old = {result.case.id: result for result in before.results}
    shared = [(old[r.case.id], r) for r in now.results if r.case.id in old]
    pairs = [(was, is_) for was, is_ in shared if _same(was.case, is_.case)]
    if not pairs:
        raise QuestionsError("the earlier run asked none of these questions: make a new one")
    changes = [_change(measure, pairs, tolerance) for measure in MEASURES]
    return Comparison(
        changes=tuple(change for change in changes if change),
        broken=tuple((was, is_) for was, is_ in pairs if was.right and is_.right is False),
        mended=tuple((was, is_) for was, is_ in pairs if was.right is False and is_.right),
        compared=len(pairs),
        added=len(now.results) - len(shared),
        gone=len(before.results) - len(shared),
        edited=len(shared) - len(pairs),
        conditions=_differing(before.facts, now.facts),
    )


def _change(measure: Measure, pairs: Sequence[Pair], tolerance: float) -> Change | None:
    key = measure.key
    both = [(a.values[key], b.values[key]) for a, b in pairs if key in a.values and key in b.values]
    if not both:
        return None
    before, now = (mean([pair[i] for pair in both]) for i in (0, 1))
    interval = bootstrap([b - a for a, b in both]) if len(both) > 1 else None
    loss = now - before if measure.lower else before - now
    beyond_chance = interval is not None and (interval[0] > 0 if measure.lower else interval[1] < 0)
    worse = loss > tolerance + _EXACT or beyond_chance
    return Change(measure, before, now, len(both), interval, worse)


def _same(one: Case, other: Case) -> bool:
    """Whether two cases ask and expect the same, wherever they stand in their files."""
    return replace(one, line=0) == replace(other, line=0)


def _differing(before: Facts, now: Facts) -> tuple[tuple[str, str, str], ...]:
    old, new = asdict(before), asdict(now)
    return tuple(
        (name, str(old[name]), str(new[name]))
        for name in new
        if name != "date" and old[name] != new[name]
    )
