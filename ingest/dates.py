"""Dates as files write them, brought to ISO 8601.

Knows the forms of ISO 8601 (front matter, office files, web pages), of PDF and of mail headers.
What is no date, was never set or is still to come is passed over.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime

_LONGEST = 64
_DAY = re.compile(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?")
_TIME = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})[T ]\s*(\d\d?:\d\d.*)", re.S)
_PDF = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(Z|[+-]\d\d)?'?(\d\d)?.*", re.S)
_UNSET = (  # what programs write for want of a date: epochs, and two libraries' empty templates
    *("0001-01-01", "1601-01-01", "1899-12-3", "1900-01-01", "1904-01-01", "1969-12-31"),
    *("1970-01-01", "1980-01-01", "2013-12-23T23:15:00", "2013-01-27T09:14:16"),
)


def iso_date(*values: object) -> str | None:
    """The first of the values that is a date, as a day or a time of ISO 8601; None without any.

    A time keeps the zone it was written in. A month or a year alone becomes its first day.
    """
    for value in values:
        text = " ".join(str(value or "").split())[:_LONGEST]
        try:
            found = _read(text) if text else None
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        if found is not None:
            written = _iso(found)
            if not written.startswith(_UNSET) and written[:10] <= _tomorrow():
                return written
    return None


def _read(text: str) -> date | None:
    """A day or a time; ValueError, or None, when the text is neither."""
    if (pdf := _PDF.fullmatch(text)) is not None:
        return _of_pdf(pdf)
    if (day := _DAY.fullmatch(text)) is not None:
        return date(int(day[1]), int(day[2] or 1), int(day[3] or 1))
    if (time := _TIME.fullmatch(text)) is not None:
        year, month, number = map(int, time.groups()[:3])
        return datetime.fromisoformat(f"{year:04}-{month:02}-{number:02}T{_clock(time[4])}")
    if not any(letter.isalpha() for letter in text):
        return None
    return parsedate_to_datetime(text)


def _clock(text: str) -> str:
    """A time of day as `datetime` reads it."""
    hours, colon, rest = text.partition(":")
    return f"{int(hours):02}{colon}{rest.replace(' UTC', 'Z').replace(' ', '')}"


def _of_pdf(found: re.Match[str]) -> date:
    year, month, day, hour, minute, second, zone, minutes = found.groups()
    if hour is None:
        return date(int(year), int(month or 1), int(day or 1))
    offset = f"{zone}:{minutes or '00'}" if zone and zone != "Z" else (zone or "")
    time = f"{hour}:{minute or '00'}:{second or '00'}{offset}"
    return datetime.fromisoformat(f"{year}-{month}-{day}T{time}")


def _iso(found: date) -> str:
    if isinstance(found, datetime):
        return found.isoformat(timespec="seconds")
    return found.isoformat()


def _tomorrow() -> str:
    """Somewhere on earth it may be that day already."""
    return (datetime.now(UTC).date() + timedelta(days=1)).isoformat()
