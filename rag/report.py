"""An evaluation as one HTML page: means and plots, what each document does, what went wrong.

The page is a file of its own: no script, no outside request, and a policy in it that forbids both.
Whatever comes out of documents, questions and answers is escaped. Knows nothing of how anything was
measured; plots are drawn in `plots.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

from rag.compare import Comparison
from rag.display import count, one_line
from rag.evaluation import MEASURES, TIMES, Evaluation, Measure, Part, Result, values_of
from rag.measures import Interval, mean
from rag.plots import Row, curve, histogram, shares_plot

_SHOWN = 100  # questions told in full
_STYLE = Path(__file__).with_name("report.css")


def report(found: Evaluation, compared: Comparison | None = None, *, name: str = "") -> str:
    """The page; `name` is of the test set. With a comparison it shows both runs."""
    title = f"Evaluation of {one_line(name)}" if name else "Evaluation"
    sections = [
        f"<h1>{_plain(title)}</h1>",
        _facts(found),
        _measures(found, compared),
        *([_comparison(compared)] if compared else []),
        _seconds(found),
        _declining(found),
        _documents(found),
        _questions(found),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{_plain(title)}</title>
<style>
{_STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
{"".join(section for section in sections if section)}</main>
</body>
</html>
"""


def declining_curve(results: Sequence[Result]) -> list[tuple[float, float]]:
    """The shares declined (answerable, unanswerable) at each threshold of the confidence, from
    none to all; empty unless both kinds have one."""
    known = [(r.confidence, r.case.answerable) for r in results if r.confidence is not None]
    able = [confidence for confidence, answerable in known if answerable]
    unable = [confidence for confidence, answerable in known if not answerable]
    if not able or not unable:
        return []
    points = [(0.0, 0.0)]
    for threshold in sorted({confidence for confidence, _ in known}):
        below = [[c <= threshold for c in some] for some in (able, unable)]
        points.append((mean(below[0]), mean(below[1])))
    return points


def _facts(found: Evaluation) -> str:
    facts = found.facts
    rows = [
        ("questions", f"{len(found.results)}" + ("" if found.complete else " (stopped early)")),
        ("model", facts.model or "none: only searched"),
        ("encoder", facts.encoder),
        ("passages read", facts.k),
        ("index", f"{count(facts.documents, 'document')} in {count(facts.passages, 'passage')}"),
        ("generation of the index", facts.generation),
        ("version", facts.version),
        ("date", facts.date),
        ("processor", facts.processor),
    ]
    cells = "".join(f"<dt>{_plain(a)}</dt><dd>{_plain(str(b))}</dd>" for a, b in rows)
    return f'<dl class="facts">{cells}</dl>\n'


def _measures(found: Evaluation, compared: Comparison | None) -> str:
    before = {c.measure.key: c.before for c in compared.changes} if compared else {}
    estimates = found.measures
    rows, cells = [], []
    for measure in MEASURES:
        if (known := estimates.get(measure.key)) is None:
            continue
        label = _label(measure, found)
        rows.append(Row(label, known.mean, known.interval, before.get(measure.key)))
        cells.append([label, f"{known.mean:.3f}", _span(known.interval, ".2f"), str(known.count)])
    if not rows:
        return ""
    told = "The dot is the mean; the line is where it lies with 95 % confidence"
    told += "; the ring is the earlier run, over the questions in both." if compared else "."
    table = _table("All measures", ["measure", "mean", "95 % interval", "questions"], cells)
    plot = shares_plot(rows, title="Measures, 0 to 1")
    return f"<section><h2>Measures</h2>{plot}<p>{told}</p>{table}</section>\n"


def _comparison(compared: Comparison) -> str:
    cells = [
        [
            f"{change.measure.group}: {change.measure.label}",
            f"{change.before:.3f}",
            f"{change.now:.3f}",
            _span(None if change.interval == (0, 0) else change.interval, "+.3f"),
            "worse" if change.worse else "",
        ]
        for change in compared.changes
    ]
    caption = f"{count(compared.compared, 'question')} that are the same in both runs"
    head = ["measure", "before", "now", "95 % interval of the change", "regression"]
    conditions = [f"other {name}: {before} → {now}" for name, before, now in compared.conditions]
    broken = [f"was right and is wrong: {now.case.question}" for _, now in compared.broken]
    mended = [f"was wrong and is right: {now.case.question}" for _, now in compared.mended]
    told = _list([*conditions, *broken, *mended])
    table = _table(caption, head, cells)
    return f"<section><h2>Beside the earlier run</h2>{table}{told}</section>\n"


def _seconds(found: Evaluation) -> str:
    seconds = found.seconds
    if not seconds:
        return ""
    key = "total" if "total" in seconds else "retrieve"
    values = [result.seconds[key] for result in found.results if key in result.seconds]
    plot = histogram(values, title="Questions by the seconds they took", unit="seconds")
    cells = [
        [label, f"{times['median']:.3f}", f"{times['p95']:.3f}"]
        for key, label in TIMES
        if (times := seconds.get(key))
    ]
    table = _table("How long it took", ["seconds until", "median", "95 % within"], cells)
    return f"<section><h2>Time</h2>{plot}{table}</section>\n"


def _declining(found: Evaluation) -> str:
    points = declining_curve(found.results)
    if not points:
        return ""
    shares = {m: values_of(found.results, m) for m in ("declined_wrongly", "declined_rightly")}
    across, up = (mean(values) if values else 0.0 for values in shares.values())
    plot = curve(
        points,
        here=(across, up),
        title="Declining at other thresholds",
        across="share of the answerable that is declined",
        up="share of the unanswerable that is declined",
    )
    told = (
        "Up: the share of the unanswerable questions that is declined. The line is what other "
        "thresholds of the model's confidence would give; the dot is this run."
    )
    return f"<section><h2>Declining</h2>{plot}<p>{told}</p></section>\n"


def _documents(found: Evaluation) -> str:
    """A line for each source that questions name."""
    by_source: dict[str, list[Result]] = {}
    for result in found.results:
        for source in result.case.sources:
            by_source.setdefault(source, []).append(result)
    if not by_source:
        return ""

    def share(results: Sequence[Result], key: str) -> str:
        values = values_of(results, key)
        return f"{mean(values):.2f}" if values else ""

    keys = ("recall", "ndcg", "right", "f1", "citation_recall")
    measures = [next(m for m in MEASURES if m.key == key) for key in keys]
    head = ["document", "questions", *(_label(measure, found) for measure in measures)]
    cells = [
        [source, str(len(results)), *(share(results, key) for key in keys)]
        for source, results in sorted(by_source.items())
    ]
    table = _table("Means by the document that answers", head, cells)
    return f"<section><h2>Documents</h2>{table}</section>\n"


def _questions(found: Evaluation) -> str:
    """What was found and said for each question that went wrong, the worst first, then the rest."""
    worst = sorted(found.results, key=_worth)
    wrong = [result for result in worst if result.error or result.right is False]
    told = "".join(map(_question, worst[:_SHOWN]))
    rest = len(worst) - _SHOWN
    more = f"<p>{rest} more, which went better, are left out.</p>" if rest > 0 else ""
    head = f"{count(len(wrong), 'question')} of {len(worst)} went wrong. The worst come first."
    return f"<section><h2>Questions</h2><p>{head}</p>{told}{more}</section>\n"


def _worth(result: Result) -> tuple[float, ...]:
    """What questions are ordered by: errors, then wrong ones, then by what was found and said."""
    values = result.values
    right = 1.0 if result.right is None else float(result.right)
    return (float(not result.error), right, values.get("ndcg", 1.0), values.get("f1", 1.0))


def _question(result: Result) -> str:
    case = result.case
    word = "error" if result.error else {None: "", True: "right", False: "wrong"}[result.right]
    mark = f'<span class="{word}">{word}</span>' if word else ""
    expected = [f"accepted answer: {answer}" for answer in case.answers]
    expected += [f"source: {source}" for source in case.sources]
    expected += [f"page: {case.page}"] if case.page else []
    expected += [f"quote: {quote}" for quote in case.quotes]
    expected += [f"only where {case.where}"] if case.where else []
    expected += [] if case.answerable else ["should be declined"]
    said = f"<p>Answer: {_text(result.text)}</p>" if result.answered else ""
    why = (result.reason or "").replace("_", " ")
    reason = f"<p>No answer: {_plain(why)}</p>" if why else ""
    error = f"<p>Could not be asked: {_text(result.error)}</p>" if result.error else ""
    opened = " open" if word in ("wrong", "error") else ""
    return (
        f"<details{opened}><summary>{mark} {_text(case.question)}</summary>{_list(expected)}"
        f"{said}{reason}{error}{_parts('Cited', result.citations)}"
        f"{_parts('Read', result.passages)}</details>\n"
    )


def _parts(title: str, parts: Sequence[Part]) -> str:
    if not parts:
        return ""
    marks = {None: "", True: '<span class="right">right place</span> ', False: ""}
    items = "".join(
        f"<li>{marks[part.right]}<cite>{_text(_place(part))}</cite><q>{_text(part.text)}</q></li>"
        for part in parts
    )
    return f"<h3>{title}</h3><ol>{items}</ol>"


def _place(part: Part) -> str:
    page = f", page {part.page}" if part.page else ""
    heading = f", {part.heading}" if part.heading else ""
    return f"{part.source}{page}{heading} ({part.start}–{part.end})"


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{_plain(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{_text(first)}</th>'
        + "".join(f"<td>{_plain(cell)}</td>" for cell in rest)
        + "</tr>\n"
        for first, *rest in rows
    )
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{_plain(caption)}"><table>'
        f"<caption>{_plain(caption)}</caption><thead><tr>{top}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _list(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(item)}</li>' for item in items)}</ul>" if items else ""


def _label(measure: Measure, found: Evaluation) -> str:
    label = measure.label.replace("@k", f"@{found.facts.k}")
    names: dict[str, Callable[[str], str]] = {
        "citations": lambda text: f"citation {text}",
        "declined": lambda text: f"declined, {text}",
    }
    return names.get(measure.group, str)(label)


def _span(interval: Interval | None, form: str) -> str:
    return "" if interval is None else f"{interval[0]:{form}} to {interval[1]:{form}}"


def _plain(text: str) -> str:
    return escape(one_line(text), quote=True)


def _text(text: str) -> str:
    """A text in any language, in its own direction."""
    return f'<bdi dir="auto">{_plain(text)}</bdi>'
