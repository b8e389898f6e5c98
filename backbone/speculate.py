"""Guesses of the next tokens, which the model then checks in one pass.

Two sources: where a grammar makes the text certain its usual tokens are likely, and where the last
tokens stand in the prompt already their continuation there is, as in a reply that quotes. Never
decides what is said. Pure Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

NGRAM = 2  # tokens that places are found by
AGREEING = 3  # that must agree before what follows is worth a guess, if no grammar checks it
PLACES = 32  # the newest ones, that are looked at
CONTEXT = 16  # tokens compared further back, to choose among several places
MISSES = 4  # wasted drafts in a row after which a sequence is left alone


class Matcher(Protocol):
    """What a drafter asks of a grammar's state, which it does not change."""

    def certain(self) -> list[int]:
        """The next tokens where the text is certain."""
        ...

    def valid(self, tokens: Sequence[int]) -> int:
        """How many of the tokens may come next, one after another."""
        ...


class Drafter:
    """Drafts for one sequence, longer while they prove right and none when they do not.

    `prompt` tokens of the sequence are its prompt: places in it are preferred to the reply.
    """

    def __init__(self, prompt: int) -> None:
        self._prompt = prompt
        self._places: dict[tuple[int, ...], list[int]] = {}
        self._indexed = 0  # places from here on are not in the table
        self._length = 2
        self._misses = 0

    def draft(self, ids: Sequence[int], matcher: Matcher | None, most: int) -> list[int]:
        """What may follow `ids`, at most `most` tokens."""
        if most < 1 or self._misses >= MISSES:
            return []
        if matcher is not None and (certain := matcher.certain()):
            return certain[:most]
        least = AGREEING if matcher is None else NGRAM
        guesses = self._look_up(ids, min(self._length, most), least)
        if matcher is not None and guesses:
            guesses = guesses[: matcher.valid(guesses)]
        return guesses

    def learn(self, drafted: int, accepted: int) -> None:
        """So many tokens of the last draft were right."""
        if accepted == drafted:
            self._length = 2 * drafted
        elif not accepted:
            self._length = 2
        self._misses = 0 if accepted else self._misses + 1

    def _look_up(self, ids: Sequence[int], length: int, least: int) -> list[int]:
        """What followed the best of the places where at least so many last tokens stood before."""
        for at in range(self._indexed, len(ids) - NGRAM):
            self._places.setdefault(tuple(ids[at : at + NGRAM]), []).append(at + NGRAM)
        self._indexed = max(self._indexed, len(ids) - NGRAM)
        places = self._places.get(tuple(ids[-NGRAM:]), [])[-PLACES:]
        found = [(*self._agreement(ids, place), place) for place in places]
        same, _, best = max(found, default=(0, False, 0))
        return list(ids[best : best + length]) if same >= least else []

    def _agreement(self, ids: Sequence[int], place: int) -> tuple[int, bool]:
        """How many tokens before a place are the last ones; the prompt wins a tie."""
        same = NGRAM
        while same < min(CONTEXT, place) and ids[place - 1 - same] == ids[-1 - same]:
            same += 1
        return same, place < self._prompt
