"""A conversation: questions and their answers, each question understood after those before it.

Kept in a file as JSON lines, one a turn. Knows neither how answers are found nor any terminal.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from backbone.request import Message
from ingest.disk import write_text
from rag.answer import Answer, Sentence
from rag.draft import AnswerStream
from rag.errors import RagError

if TYPE_CHECKING:
    from rag.pipeline import Rag


@dataclass(frozen=True, slots=True)
class Turn:
    """A question, its answer, and when that was complete (ISO 8601, UTC)."""

    question: str
    answer: Answer
    time: str


class Chat:
    """A conversation with an index. `rag.chat()` begins one, `Chat.load` goes on with a saved one.

    `k`, `where` and `web` are those of `Rag.ask`, for all questions to come; they may be changed.
    """

    def __init__(
        self,
        rag: Rag,
        *,
        turns: Iterable[Turn] = (),
        k: int = 6,
        where: str | None = None,
        web: bool = False,
    ) -> None:
        self.k = k
        self.where = where
        self.web = web
        self._rag = rag
        self._turns = list(turns)

    @classmethod
    def load(
        cls,
        path: str | Path,
        rag: Rag,
        *,
        k: int = 6,
        where: str | None = None,
        web: bool = False,
    ) -> Chat:
        """A conversation that was saved. Raises RagError, with the line, for what is none."""
        return cls(rag, turns=read_turns(path), k=k, where=where, web=web)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What was asked and answered, in order."""
        return tuple(self._turns)

    @property
    def history(self) -> list[Message]:
        """What was said, as `Rag.ask` takes it."""
        said = []
        for turn in self._turns:
            said.append(Message("user", turn.question))
            if turn.answer.answered:
                said.append(Message("assistant", turn.answer.text))
        return said

    def ask(self, question: str) -> Answer:
        """Answer a question after what was said before."""
        return self.stream(question).result()

    def stream(self, question: str) -> AnswerStream:
        """Like `ask`, as it is found. It becomes a turn once it is complete."""
        return AnswerStream(self._answer(question))

    def save(self, path: str | Path) -> None:
        """Write the conversation to a file, one line of JSON a turn; replaces what was there."""
        lines = [
            json.dumps(
                {"question": turn.question, "time": turn.time, "answer": turn.answer.to_json()},
                ensure_ascii=False,
            )
            for turn in self._turns
        ]
        write_text(Path(path), "".join(line + "\n" for line in lines))

    def _answer(self, question: str) -> Generator[Sentence, None, Answer]:
        stream = self._rag.stream(
            question, k=self.k, where=self.where, web=self.web, history=self.history
        )
        try:
            yield from stream.sentences()
            answer = stream.result()
        finally:
            stream.close()
        self._turns.append(Turn(question, answer, datetime.now(UTC).isoformat("T", "seconds")))
        return answer


def read_turns(path: str | Path) -> list[Turn]:
    """The turns of a saved conversation. Raises RagError with the number of a broken line."""
    from rag.restore import restore

    turns = []
    for number, line in enumerate(Path(path).read_bytes().splitlines(), start=1):
        try:
            turns.append(restore(Turn, json.loads(line)))
        except UnicodeDecodeError:
            raise RagError(f"{path}, line {number}: it is not UTF-8") from None
        except json.JSONDecodeError as error:
            raise RagError(f"{path}, line {number}: it is no JSON: {error.msg}") from None
        except ValueError as error:
            raise RagError(f"{path}, line {number}: {error}") from None
    return turns
