"""A test set: the user's own questions with what is known of their answers, one JSON object a line.

Every line that is not as it must be is told, by its number, before anything is asked. Knows the
form of a line, and nothing of documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rag.errors import QuestionsError

FIELDS = (
    *("question", "answers", "source", "page", "quote", "start", "end"),
    *("answerable", "where", "id", "note"),
)
_TOLD = 10  # problems that an error names

Questions = str | Path | Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Case:
    """A question and what is known of it.

    One that is `answerable` has accepted `answers`, or `sources` that answer it; the other kind
    should be declined. `page` (from 1), `quotes` (words of the sources) or `span` (start and end in
    the only source's text) narrow down where the answer stands. `where` keeps the question to some
    documents. `id` is the same in every run; `line` is where it was read, from 1.
    """

    id: str
    question: str
    answerable: bool
    answers: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    page: int | None = None
    quotes: tuple[str, ...] = ()
    span: tuple[int, int] | None = None
    where: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line; `line` counts from 1."""

    line: int
    text: str


def read_cases(questions: Questions) -> tuple[list[Case], list[Problem]]:
    """The cases of a JSON lines file in UTF-8, or of mappings with the same fields.

    Beside them stands what is wrong with the other lines. Raises QuestionsError when there is no
    line at all.
    """
    found: dict[str, Case] = {}
    problems: list[Problem] = []
    for number, row in _rows(questions):
        try:
            case = _case(_parse(row) if isinstance(row, bytes) else row, number)
            if case.id in found:
                first = found[case.id].line
                raise ValueError(f'the same as line {first}: give one of them another "id"')
            found[case.id] = case
        except ValueError as error:
            problems.append(Problem(number, str(error)))
    if not (found or problems):
        raise QuestionsError("there is no question: write one JSON object a line")
    return list(found.values()), problems


def refuse(problems: Sequence[Problem]) -> None:
    """Raise QuestionsError when there are problems, with the first of them."""
    if problems:
        lines = [f"line {p.line}: {p.text}" for p in sorted(problems, key=lambda p: p.line)]
        more = [f"and {len(lines) - _TOLD} more"] if len(lines) > _TOLD else []
        raise QuestionsError("\n".join(lines[:_TOLD] + more))


def shortened(text: str, most: int = 60) -> str:
    """The beginning of a text, for a message."""
    return text if len(text) <= most else text[:most] + "…"


def _rows(questions: Questions) -> list[tuple[int, bytes | Mapping[str, Any]]]:
    """The lines that hold something, with their numbers."""
    if not isinstance(questions, str | Path):
        return list(enumerate(questions, start=1))
    lines = Path(questions).read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _parse(line: bytes) -> dict[str, Any]:
    """The object of one line. Raises ValueError."""
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is no UTF-8: save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("no question: it is nested too deeply") from None
    if not isinstance(row, dict):
        raise ValueError(f"a JSON object is needed, got {_shown(row)}")
    return row


def _case(row: Mapping[str, Any], number: int) -> Case:
    """The case of one line. Raises ValueError."""
    for name in row.keys() - set(FIELDS):
        near = get_close_matches(str(name), FIELDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(FIELDS)}"
        raise ValueError(f"there is no field {name!r}: {hint}")
    question = _text(row, "question")
    if question is None:
        raise ValueError('"question" is missing')
    answers, sources = _texts(row, "answers"), _texts(row, "source")
    page, quotes, span = _number(row, "page", least=1), _texts(row, "quote"), _span(row)
    if (page is not None) + bool(quotes) + (span is not None) > 1:
        raise ValueError("page, quote, and start with end exclude each other: keep one")
    if (page or quotes or span) and not sources:
        raise ValueError('page, quote, start and end need the "source" that they are of')
    if span and len(sources) > 1:
        raise ValueError("start and end are of one source, and there are several")
    return Case(
        id=_text(row, "id") or question,
        question=question,
        answerable=_answerable(row, answers, sources),
        answers=answers,
        sources=sources,
        page=page,
        quotes=quotes,
        span=span,
        where=_where(row),
        line=number,
    )


def _answerable(row: Mapping[str, Any], answers: tuple[str, ...], sources: tuple[str, ...]) -> bool:
    """Whether the documents answer it: as the line says, else whether anything is known."""
    given = row.get("answerable")
    if given is None:
        return bool(answers or sources)
    if not isinstance(given, bool):
        raise ValueError(f"answerable must be true or false, got {_shown(given)}")
    if given and not (answers or sources):
        raise ValueError("it is answerable: give its answers, or the source that answers it")
    if answers and not given:
        raise ValueError("it has answers and is not answerable: take one of the two away")
    return given


def _where(row: Mapping[str, Any]) -> str | None:
    from ingest.where import Where

    where = _text(row, "where")
    if where is not None:
        Where.parse(where)
    return where


def _span(row: Mapping[str, Any]) -> tuple[int, int] | None:
    start, end = _number(row, "start", least=0), _number(row, "end", least=1)
    if start is None and end is None:
        return None
    if start is None or end is None or end <= start:
        raise ValueError(f"start and end must be a span of characters, got {start} and {end}")
    return start, end


def _number(row: Mapping[str, Any], name: str, *, least: int) -> int | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a number from {least}, got {_shown(value)}")
    return value


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is not None and not (isinstance(value, str) and value.strip()):
        raise ValueError(f"{name} must be a text that is not empty, got {_shown(value)}")
    return value


def _texts(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = row.get(name)
    values = [] if value is None else value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(one, str) and one.strip() for one in values):
        raise ValueError(f"{name} must be a text or a list of texts, got {_shown(value)}")
    return tuple(values)


def _shown(value: object) -> str:
    return shortened(json.dumps(value, ensure_ascii=False, default=repr))
