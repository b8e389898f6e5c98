"""Tables as text in which each row can be read alone.

Knows rows of cells and CSV; knows nothing of the documents that hold them.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence

Row = Sequence[str]

_FITS = 900  # characters; a drawn table up to this long lies in one chunk
_NUMBER = re.compile(r"[\s$€£¥+\-(]*\d[\d\s.,:/%)\-]*")
_YEAR = re.compile(r"(?:1[89]|20)\d\d")


def draw(rows: Iterable[Row]) -> str:
    """A table in a document: drawn with bars when it is short, else row by row as `records`."""
    cells = [[_flat(cell) for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    if not cells:
        return ""
    width = max(map(len, cells))
    if width == 1:
        return "\n".join(row[0] for row in cells)
    lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in cells]
    lines.insert(1, "|" + " --- |" * width)
    drawn = "\n".join(lines)
    return drawn if len(drawn) <= _FITS else records(cells)


def records(rows: Iterable[Row]) -> str:
    """A table, a line a row: "name: Ada; born: 1815", so that no row needs the header to be read.

    The header is the first row that looks like names of columns, before any row with numbers; rows
    above it are titles. Where numbers stood and names follow, another table begins. A table without
    a header is written with bars between the cells.
    """
    cells = [[_flat(cell) for cell in row] for row in rows]
    lines: list[str] = []
    header: list[str] | None = None
    numbers = False  # seen since the header
    for index, row in enumerate(cells):
        if row == header or not any(row):
            continue  # printed again on each page of a sheet, or blank
        if _names(row) and (header is None or (header and numbers)):
            sure = row[0] != "" or _numeric(cells[index + 1 : index + 9])
            header, numbers = row if sure else [], False
            if sure and index + 1 < len(cells):
                continue
        single = sum(map(bool, row)) == 1
        lines.append(_record(header, row) if header and not single else _bars(row))
        numbers = numbers or _numeric([row])
        if numbers and header is None:
            header = []
    return "\n".join(lines)


def read_csv(text: str) -> list[list[str]]:
    """The rows of comma-, semicolon-, tab- or bar-separated text; csv.Error when it is none."""
    delimiter = max(",;\t|", key=lambda mark: _regularity(text[:20_000], mark))
    return [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]


def _regularity(text: str, delimiter: str) -> int:
    """How many of the first rows have the most common number of cells, when that is above one."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    widths = Counter(len(row) for row, _ in zip(reader, range(50), strict=False) if len(row) > 1)
    return max(widths.values(), default=0)


def _flat(cell: str) -> str:
    return " ".join(cell.split())


def _names(row: list[str]) -> bool:
    """Whether a row looks like the names of columns: distinct words, among them years at most."""
    named = [cell for cell in row if cell]
    last = max((i for i, cell in enumerate(row) if cell), default=0)
    return (
        len(named) > 1
        and len(named) * 2 > last
        and len(set(named)) == len(named)
        and not all(_NUMBER.fullmatch(cell) for cell in named)
        and not _numeric([row])
        and max(map(len, named)) <= 100
    )


def _numeric(rows: list[list[str]]) -> bool:
    """Whether a cell holds a number that is no year."""
    return any(
        _NUMBER.fullmatch(cell) and not _YEAR.fullmatch(cell) for row in rows for cell in row
    )


def _record(header: list[str], cells: list[str]) -> str:
    names = [*header, *[""] * (len(cells) - len(header))]
    pairs = zip(names, cells, strict=False)
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in pairs if cell)


def _bars(cells: list[str]) -> str:
    return " | ".join(cell for cell in cells if cell)
