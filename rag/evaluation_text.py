"""An evaluation, and its comparison with an earlier one, as plain text for people.

Prints nothing; texts of documents and questions come out safe to print.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag.compare import Change, Comparison
from rag.display import count, one_line
from rag.evaluation import MEASURES, TIMES, Evaluation, Result
from rag.measures import Interval
from rag.testset import shortened

_LISTED = 10  # questions
_TABLE, _BESIDE = (28, 8), (36, 14)  # widths of the first two columns
_CONDITIONS = {"generation": "generation of the index", "k": "passages read"}


def evaluation_text(found: Evaluation) -> str:
    """The means with their intervals, the times, and the questions that went wrong."""
    lines = [_heading(found), "", _row(_TABLE, "", "mean", "95 % interval", "questions")]
    estimates, group = found.measures, ""
    for measure in MEASURES:
        if (estimate := estimates.get(measure.key)) is None:
            continue
        if measure.group != group:
            group = measure.group
            lines.append(group)
        label = measure.label.replace("@k", f"@{found.facts.k}")
        numbers = (_number(estimate.mean), _interval(estimate.interval), str(estimate.count))
        lines.append(_row(_TABLE, f"  {label}", *numbers))
    lines += ["", _row(_TABLE, "seconds", "median", "95 % within", "")]
    seconds = found.seconds
    for key, label in TIMES:
        if times := seconds.get(key):
            both = (f"{times['median']:.3f}", f"{times['p95']:.3f}")
            lines.append(_row(_TABLE, f"  {label}", *both, ""))
    lines += _listed("could not be asked", [_failure(result) for result in found.errors])
    wrong = [result for result in found.results if result.right is False and not result.error]
    return "\n".join([*lines, *_listed("went wrong", [_outcome(result) for result in wrong])])


def comparison_text(found: Comparison, *, tolerance: float) -> str:
    """Each measure before and now, what differs in the conditions, and what broke."""
    lines = [f"{count(found.compared, 'question')} as in the earlier run{_others(found)}", ""]
    lines.append(_row(_BESIDE, "", "before → now", "95 % interval of the change", ""))
    lines += [_changed(change) for change in found.changes]
    for name, before, now in found.conditions:
        lines += ["", f"other {_CONDITIONS.get(name, name)}: {one_line(before)} → {one_line(now)}"]
    lines += _listed("was right and is wrong", [_outcome(now) for _, now in found.broken])
    lines += _listed("was wrong and is right", [_outcome(now) for _, now in found.mended])
    return "\n".join([*lines, "", _verdict(found, tolerance)])


def _heading(found: Evaluation) -> str:
    facts = found.facts
    asked = count(len(found.results), "question")
    stopped = "" if found.complete else " (stopped early)"
    who = "retrieval only" if facts.retrieval_only else f"model {facts.model}"
    index = f"{count(facts.documents, 'document')} in {count(facts.passages, 'passage')}"
    return f"{asked}{stopped}, {who}, encoder {facts.encoder}, {index}"


def _changed(change: Change) -> str:
    label = f"{change.measure.group}: {change.measure.label}"
    numbers = f"{_number(change.before)} → {_number(change.now)}"
    if change.interval in (None, (0, 0)):
        return _row(_BESIDE, label, numbers, "", "worse" if change.worse else "")
    span = "{:+.3f} to {:+.3f}".format(*change.interval)
    return _row(_BESIDE, label, numbers, span, "worse" if change.worse else "")


def _verdict(found: Comparison, tolerance: float) -> str:
    if not found.regressions:
        return f"no regression beyond chance or {tolerance:g}"
    names = ", ".join(f"{c.measure.group}: {c.measure.label}" for c in found.regressions)
    return f"regression of {names}"


def _others(found: Comparison) -> str:
    parts = [(found.added, "new"), (found.gone, "gone"), (found.edited, "edited")]
    told = [f"{number} {what}" for number, what in parts if number]
    return f" ({', '.join(told)}: not compared)" if told else ""


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    more = [f"  and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    return ["", f"{title}:", *(f"  {line}" for line in lines[:_LISTED]), *more]


def _outcome(result: Result) -> str:
    said = f"“{shortened(one_line(result.text))}”" if result.answered else "no answer"
    if not result.seconds.get("total"):  # it was only searched for
        said = "found" if result.right else "not found"
    return f"line {result.case.line}: {shortened(one_line(result.case.question))} → {said}"


def _failure(result: Result) -> str:
    return f"line {result.case.line}: {one_line(result.error or '')}"


def _number(value: float) -> str:
    return f"{value:.3f}"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else "{:.2f} to {:.2f}".format(*interval)


def _row(widths: tuple[int, int], label: str, first: str, second: str, third: str) -> str:
    return f"{label:<{widths[0]}}{first:>{widths[1]}}   {second:<{2 * widths[1]}}{third}".rstrip()
