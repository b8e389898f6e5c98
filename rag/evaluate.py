"""Ask an index every question of a test set, and measure what comes back.

The passages that are found, the answers and their citations, each question on its own. Knows no
measure's formula, nothing of how a question is answered, and prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from time import perf_counter
from typing import TYPE_CHECKING

from backbone.errors import BackboneError
from ingest.errors import IngestError
from rag import measures
from rag.display import snippet
from rag.errors import RagError
from rag.evaluation import RANKS, Evaluation, Facts, Part, Result
from rag.places import Place, ranking, resolve, useful
from rag.testset import Case, Questions, read_cases

if TYPE_CHECKING:
    from ingest.document import Hit
    from rag.answer import Answer, Citation
    from rag.pipeline import Rag

Progress = Callable[[int, int, str], None]  # done, of how many, the question


def evaluate(
    rag: Rag,
    questions: Questions,
    *,
    k: int = 6,
    retrieval_only: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Ask every question, with `k` passages read for each, or only searched for.

    Ctrl-C ends it early: what was measured until then is returned, and is not `complete`. Raises
    QuestionsError, before anything is asked, for lines that are wrong or name what is not there.
    """
    cases, wrong = read_cases(questions)
    places = resolve(rag, cases, wrong)
    facts = facts_of(rag, k=k, retrieval_only=retrieval_only)  # loads the models, so no time does
    results: list[Result] = []
    try:
        for case, right in zip(cases, places, strict=True):
            if progress:
                progress(len(results), len(cases), case.question)
            results.append(measured(rag, case, right, k=k, retrieval_only=retrieval_only))
    except KeyboardInterrupt:
        return Evaluation(facts, tuple(results), complete=False)
    return Evaluation(facts, tuple(results))


def facts_of(rag: Rag, *, k: int, retrieval_only: bool) -> Facts:
    """The circumstances of a run that starts now."""
    from backbone.processor import Processor

    documents = rag.documents()
    return Facts(
        version=version("ragbone"),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        processor=Processor.read().name,
        encoder=rag.encoder.name,
        model=None if retrieval_only else rag.generator.name,
        k=k,
        generation=rag.generation,
        documents=len(documents),
        passages=sum(document.chunks for document in documents),
        retrieval_only=retrieval_only,
    )


def measured(
    rag: Rag, case: Case, places: Sequence[Place], *, k: int, retrieval_only: bool
) -> Result:
    """Search and ask; what fails is noted and stops nothing."""
    hits: list[Hit] = []
    answer = error = None
    began = perf_counter()
    try:
        hits = rag.search(case.question, k=max(k, RANKS), where=case.where)
        searched = perf_counter() - began
        if not retrieval_only:
            answer = rag.ask(case.question, k=k, where=case.where)
    except (RagError, IngestError, BackboneError, ValueError) as failure:
        error = str(failure) or type(failure).__name__
    result = Result(case, passages=_found(hits[:k], case, places), error=error)
    values = _of_retrieval(hits, places, k=k) if case.answerable and places else {}
    if retrieval_only:
        seconds = {} if error else {"retrieve": searched}
        return replace(result, values=values, seconds=seconds)
    values |= _of_answer(case, answer, places)
    return replace(_answered(result, answer, places), values=values)


def _of_retrieval(hits: Sequence[Hit], places: Sequence[Place], *, k: int) -> dict[str, float]:
    ranked, grades = ranking(hits, places)
    read, _ = ranking(hits[:k], places)
    helpful = {str(rank) for rank, holds in enumerate(useful(hits, places)) if holds}
    return {
        "ndcg": measures.ndcg(ranked, grades, k=RANKS),
        "recall": measures.recall(read, grades, k=len(read)),
        "mrr": measures.reciprocal_rank(ranked, grades, k=RANKS),
        "precision": measures.precision([str(rank) for rank in range(len(hits))], helpful, k=k),
    }


def _of_answer(case: Case, answer: Answer | None, places: Sequence[Place]) -> dict[str, float]:
    """What an answer is worth; None is a question that could not be asked."""
    answered = answer is not None and answer.answered
    declined = answer is not None and not answer.answered
    if not case.answerable:
        return {"declined_rightly": float(declined), "right": float(declined)}
    values = {"declined_wrongly": float(declined)}
    if places:
        citations = answer.citations if answer else ()
        precision, recall = measures.citations_right(
            [[place.holds(c.source, c.start, c.end) for place in places] for c in citations]
        )
        values["citation_recall"] = recall
        if precision is not None:
            values["citation_precision"] = precision
        values["right"] = float(recall > 0)
    if case.answers:
        said = answer.text if answer is not None and answered else None
        for key, measure in (
            ("holds", measures.holds_answer),
            ("f1", measures.f1),
            ("exact", measures.exact_match),
        ):
            values[key] = 0.0 if said is None else measure(said, case.answers)
        values["right"] = values["holds"]
    return values


def _answered(result: Result, answer: Answer | None, places: Sequence[Place]) -> Result:
    """The result with what was said."""
    if answer is None:
        return result
    times = answer.timings
    return replace(
        result,
        answered=answer.answered,
        text=answer.text,
        reason=answer.reason,
        confidence=answer.confidence,
        citations=tuple(_cited(c, result.case, places) for c in answer.citations),
        seconds={"retrieve": times.retrieve, "first": times.first_token, "total": times.total},
    )


def _found(hits: Sequence[Hit], case: Case, places: Sequence[Place]) -> tuple[Part, ...]:
    right = useful(hits, places)
    return tuple(
        Part(
            source=hit.chunk.source,
            page=hit.chunk.page,
            heading=hit.chunk.heading,
            start=hit.chunk.start,
            end=hit.chunk.end,
            text=snippet(hit.chunk.text, case.question),
            right=holds if case.answerable and places else None,
        )
        for hit, holds in zip(hits, right, strict=True)
    )


def _cited(citation: Citation, case: Case, places: Sequence[Place]) -> Part:
    c = citation
    holds = any(place.holds(c.source, c.start, c.end) for place in places)
    right = holds if case.answerable and places else None
    return Part(c.source, c.page, c.heading, c.start, c.end, c.quote, right)
