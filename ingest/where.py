"""Filters on what is searched: `source=docs/*.pdf and page>=3` as a condition on the catalogue.

Knows the catalogue's column names and nothing else of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

GRAMMAR = (
    "write conditions joined by ' and ': source=GLOB, source!=GLOB, media_type=GLOB, "
    "media_type!=GLOB, page=N, date=YYYY-MM-DD (or != < <= > >=); for example: source=docs/*.pdf "
    "and page>=3. A date may be a year or a month. "
    'In a GLOB * stands for anything; a value that contains " and " or begins with = goes in '
    "double quotes"
)
_AND = re.compile(r'\s+and\s+(?=(?:[^"]*"[^"]*")*[^"]*$)', re.IGNORECASE)  # outside quotes
_OR = re.compile(
    r'\s+or\s+(?:source|media_type|page|date)\s*[!<>=](?=(?:[^"]*"[^"]*")*[^"]*$)', re.IGNORECASE
)
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?", re.ASCII)
_CONDITION = re.compile(r"\s*(\w+)\s*(!=|<=|>=|=|<|>)\s*(.+?)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Where:
    """An SQL condition over documents `d` and chunks `c`, with its parameters."""

    sql: str
    parameters: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: str) -> Where:
        """Read a filter expression. Raises ValueError, with the grammar, when it is not one."""
        parts: list[str] = []
        parameters: list[str | int] = []
        if _OR.search(text):
            raise ValueError(
                f"cannot read the filter {text!r}: conditions are joined by ' and ' alone, there is"
                f" no ' or '; {GRAMMAR}"
            )
        for part in _AND.split(text):
            match = _CONDITION.fullmatch(part)
            if match is None:
                raise ValueError(f"cannot read the filter {part!r}: {GRAMMAR}")
            field, operator, value = match.groups()
            if value[0] in "<>=":
                raise ValueError(
                    f"cannot read the filter {part!r}: there is no {operator + value[0]}; {GRAMMAR}"
                )
            if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            sql, values = _condition(field.lower(), operator, value)
            parts.append(sql)
            parameters.extend(values)
        return cls(" AND ".join(parts), tuple(parameters))


def _condition(field: str, operator: str, value: str) -> tuple[str, tuple[str | int, ...]]:
    if field == "page":
        if not value.isdecimal():
            raise ValueError(f"a page is a number, not {value!r}: {GRAMMAR}")
        return f"c.page {operator} ?", (int(value),)
    if field == "date":
        return _dated(operator, value)
    if field not in ("source", "media_type"):
        raise ValueError(f"there is no field {field!r} to filter by: {GRAMMAR}")
    if operator not in ("=", "!="):
        raise ValueError(f"{field} is compared by = or !=, not by {operator}: {GRAMMAR}")
    if field == "source":
        value = value.removeprefix("./")  # as a shell may complete it; no source begins so
    # The value itself is also meant: a file may be called `a[1].txt`.
    negation = "NOT " if operator == "!=" else ""
    return f"{negation}(d.{field} = ? OR d.{field} GLOB ?)", (value, value)


def _dated(operator: str, value: str) -> tuple[str, tuple[str | int, ...]]:
    """A year, a month or a day is compared as a whole: `date<=2024` admits all of 2024."""
    if not _DATE.fullmatch(value):
        raise ValueError(f"a date is written 2024-03-31, 2024-03 or 2024, not {value!r}: {GRAMMAR}")
    try:
        date.fromisoformat(value + "-01-01"[len(value) - 4 :])
    except ValueError:
        raise ValueError(f"there is no such day or month as {value}: {GRAMMAR}") from None
    return f"substr(d.date, 1, {len(value)}) {operator} ?", (value,)
