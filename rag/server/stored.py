"""Responses that a later request may go on from, in bounded memory: the least used go first."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from backbone.request import Message

MOST = 1000  # responses
MOST_CHARACTERS = 32 * 2**20  # in all of them


@dataclass(frozen=True, slots=True)
class Turn:
    """A response as it was sent, and the conversation up to and with it."""

    reply: dict[str, Any]
    messages: tuple[Message, ...]

    @property
    def size(self) -> int:
        """About how many characters it holds."""
        calls = sum(len(str(m.tool_calls)) for m in self.messages)
        return len(str(self.reply)) + calls + sum(len(m.content) for m in self.messages)


class Stored:
    """Responses by their ids."""

    def __init__(self, most: int = MOST, characters: int = MOST_CHARACTERS) -> None:
        self._turns: OrderedDict[str, tuple[Turn, int]] = OrderedDict()
        self._most = most
        self._characters = characters
        self._size = 0

    def put(self, id_: str, turn: Turn) -> None:
        """Keep a response, as long as there is room."""
        self.pop(id_)
        self._turns[id_] = (turn, turn.size)
        self._size += turn.size
        while self._turns and (self._size > self._characters or len(self._turns) > self._most):
            self.pop(next(iter(self._turns)))

    def get(self, id_: str) -> Turn | None:
        """A response, if it is still there."""
        if id_ not in self._turns:
            return None
        self._turns.move_to_end(id_)
        return self._turns[id_][0]

    def pop(self, id_: str) -> bool:
        """Forget a response; whether it was there."""
        _, size = self._turns.pop(id_, (None, 0))
        self._size -= size
        return size > 0
