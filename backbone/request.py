"""What is asked of a generator and what comes back: messages, sampling, streams, completions.

Plain values and one thread-safe Stream. No torch, no tokenizer, no idea how text is made.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Mark:
    """A special token inside a message's content, named by its text (`Mark("<s0>")`).

    Plain strings can never become special tokens; a Mark always is one. A checkpoint whose
    tokenizer lacks the mark refuses the message.
    """

    token: str


Content = str | tuple[str | Mark, ...]

ROLES = ("system", "user", "assistant", "tool")

FinishReason = Literal["stop", "length", "tool_calls", "cancelled", "error"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that a model wants called. `id` ties the result to it, where one is needed."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is one of ROLES.

    `tool_calls` are what an assistant's turn called, besides its content; `call_id` says which of
    them a tool's turn answers.
    """

    role: str
    content: Content
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None

    def __post_init__(self) -> None:
        """Refuse other roles: templates write them unchecked, so a role could forge a turn."""
        if self.role not in ROLES:
            raise ValueError(f"role must be one of {', '.join(ROLES)}, got {self.role!r}")


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. The default is greedy.

    `temperature` 0 is greedy; `top_k` 0, `top_p` 1, `min_p` 0, the penalties 0 and
    `repetition_penalty` 1 switch each filter off. `presence_penalty` and `frequency_penalty` are
    OpenAI's: subtracted from the logits of tokens of the reply, once and for each time.
    `logit_bias` is (token id, added to its logit). With a `seed` the same request gives the same
    tokens, alone or in a batch.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        ranges = {
            "temperature": (self.temperature >= 0, "at least 0"),
            "top_k": (self.top_k >= 0, "at least 0"),
            "top_p": (0 < self.top_p <= 1, "in (0, 1]"),
            "min_p": (0 <= self.min_p <= 1, "in [0, 1]"),
            "repetition_penalty": (self.repetition_penalty > 0, "above 0"),
            "presence_penalty": (-2 <= self.presence_penalty <= 2, "in [-2, 2]"),
            "frequency_penalty": (-2 <= self.frequency_penalty <= 2, "in [-2, 2]"),
        }
        for name, (good, wanted) in ranges.items():
            if not good:
                raise ValueError(f"{name} must be {wanted}, got {getattr(self, name)!r}")


GREEDY = Sampling()

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token of a completion: its text and bytes, log-probability, and the likeliest instead.

    `top` holds (token id, text, log-probability), the likeliest first. Natural logarithms, under
    the model alone: before sampling and grammar.
    """

    id: int
    text: str
    raw: bytes
    logprob: float
    top: tuple[tuple[int, str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """What a request produced. `text` includes special tokens the grammar asked for (`<s3>`).

    `tool_calls` are what it called; the text of the calls is not in `text`. `cached_tokens` of the
    prompt were not run again. `logprobs`, one for each token, when they were asked for.
    """

    text: str
    finish_reason: FinishReason
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprob: float = 0.0  # sum over the completion's tokens, natural logarithm
    tool_calls: tuple[ToolCall, ...] = ()
    cached_tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


class Stream:
    """The text of one request as it comes. Iterate it, or take `result()`, or `subscribe`.

    The producer calls `push` and then `finish` or `fail` once; everything else belongs to
    consumers. Any thread may call any method.
    """

    def __init__(self, on_cancel: Callable[[], None] | None = None) -> None:
        self._pieces: list[str] = []
        self._completion: Completion | None = None
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._callbacks: list[Callable[[str | None], None]] = []
        self._on_cancel = on_cancel

    def push(self, piece: str) -> None:
        """Add text (the producer's side)."""
        if not piece:
            return
        with self._changed:
            self._pieces.append(piece)
            callbacks = list(self._callbacks)
            self._changed.notify_all()
        for callback in callbacks:
            self._tell(callback, piece)

    def finish(self, completion: Completion) -> None:
        """End with a result (the producer's side)."""
        self._end(completion, None)

    def fail(self, error: BaseException) -> None:
        """End with an error, which iteration and `result` raise (the producer's side)."""
        self._end(None, error)

    def _end(self, completion: Completion | None, error: BaseException | None) -> None:
        with self._changed:
            if self.done:
                return
            self._completion, self._error = completion, error
            callbacks = list(self._callbacks)
            self._changed.notify_all()
        for callback in callbacks:
            self._tell(callback, None)

    @property
    def done(self) -> bool:
        """Whether the request has ended, well or not."""
        return self._completion is not None or self._error is not None

    def __iter__(self) -> Iterator[str]:
        """Yield pieces of text until the end; each iterator starts at the beginning."""
        at = 0
        while True:
            with self._changed:
                while not self.done and len(self._pieces) == at:
                    self._changed.wait()
                fresh, over = self._pieces[at:], self.done
            yield from fresh
            at += len(fresh)
            if over and not fresh:
                break
        if self._error is not None:
            raise self._error

    def result(self, timeout: float | None = None) -> Completion:
        """Wait for the end. Raises what the request failed with, or TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.done, timeout):
                raise TimeoutError(f"no result within {timeout} s")
        if self._error is not None:
            raise self._error
        assert self._completion is not None
        return self._completion

    def cancel(self) -> None:
        """Ask the producer to stop; the result then says `cancelled`."""
        if not self.done and self._on_cancel is not None:
            self._on_cancel()

    def subscribe(self, callback: Callable[[str | None], None]) -> None:
        """Call back with every piece, those already there first, then with None at the end."""
        with self._changed:  # the producer's next piece waits until the earlier ones are told
            if not self.done:
                self._callbacks.append(callback)
            past: Sequence[str | None] = [*self._pieces, *([None] if self.done else [])]
            for piece in past:
                self._tell(callback, piece)

    def _tell(self, callback: Callable[[str | None], None], piece: str | None) -> None:
        """Call a subscriber; one that fails hears no more, and the producer is not disturbed."""
        try:
            callback(piece)
        except Exception:  # noqa: BLE001  it may be of any kind, and it is logged
            _log.exception("a subscriber of a stream failed")
            with self._changed:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)
