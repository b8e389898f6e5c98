"""A `Question`: what is asked, and how it is to be answered. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbone.request import Message

if TYPE_CHECKING:
    from backbone.schema import Schema


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of an index.

    `k` passages are read, out of those that `where` admits and, with `web`, of pages found on the
    web. `history` is what was said before. With a `schema` the answer is an object that fits it;
    `strict` declines an answer that is not supported in every sentence. `sweep` asks all documents
    that match, one after the other; None decides by the words of the question.
    """

    text: str
    k: int = 6
    where: str | None = None
    web: bool = False
    history: tuple[Message, ...] = ()
    schema: Schema | None = None
    strict: bool = False
    sweep: bool | None = None
