"""The tokens of one generation -> pieces of text on its Stream, ended by stop strings.

Knows nothing of models: it is what the engine tells of one generation, in tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from backbone.calling import CallReader
from backbone.request import Completion, FinishReason, Stream, TokenLogprob, ToolCall
from backbone.tokenizer import Detokenizer, Tokenizer


class Reply:
    """Listens to one generation. Text that may turn out to begin a stop string is held back.

    With a `tokenizer` the completion tells of the log-probability of each token. With `calls` the
    tool calls among the tokens are kept out of the text, and reported at the end.
    """

    def __init__(
        self,
        stream: Stream,
        detokenizer: Detokenizer,
        *,
        stop: Sequence[str],
        prompt_tokens: int,
        tokenizer: Tokenizer | None = None,
        calls: CallReader | None = None,
    ) -> None:
        self._stream = stream
        self._detokenizer = calls or detokenizer
        self._calls = calls
        self._stop = tuple(stop)
        self._prompt_tokens = prompt_tokens
        self._tokenizer = tokenizer
        self._logprobs: list[TokenLogprob] = []
        self._tokens = 0
        self._text = ""
        self._pushed = 0  # characters of the text that the stream has

    def token(
        self, token: int, logprob: float = 0.0, top: Sequence[tuple[int, float]] = ()
    ) -> bool:
        """Take one more token; True when a stop string is complete: the text ends before it."""
        self._tokens += 1
        if self._tokenizer is not None:
            self._logprobs.append(described(self._tokenizer, token, logprob, top))
        searched = max(0, len(self._text) - self._longest)
        self._text += self._detokenizer.push(token)
        found = [at for s in self._stop if (at := self._text.find(s, searched)) >= 0]
        if found:
            self._text = self._text[: min(found)]
        if found or not (self._calls and self._calls.holds(self._text)):
            self._push(len(self._text) if found else len(self._text) - self._held())
        return bool(found)

    def end(self, reason: FinishReason, logprob: float, cached_tokens: int = 0) -> None:
        """Finish the stream."""
        calls: tuple[ToolCall, ...] = ()
        if self._calls:
            self._text, calls = self._calls.finish(self._text)
        self._push(len(self._text))
        self._stream.finish(
            Completion(
                text=self._text,
                finish_reason="tool_calls" if calls and reason == "stop" else reason,
                prompt_tokens=self._prompt_tokens,
                completion_tokens=self._tokens,
                logprob=logprob,
                tool_calls=calls,
                cached_tokens=cached_tokens,
                logprobs=tuple(self._logprobs),
            )
        )

    def fail(self, error: Exception) -> None:
        """Let the stream raise."""
        self._stream.fail(error)

    def _push(self, end: int) -> None:
        piece, self._pushed = self._text[self._pushed : end], max(self._pushed, end)
        self._stream.push(piece)

    @property
    def _longest(self) -> int:
        return max(map(len, self._stop), default=1) - 1

    def _held(self) -> int:
        """How many of the last characters may begin a stop string."""
        for length in range(min(self._longest, len(self._text)), 0, -1):
            if any(s.startswith(self._text[-length:]) for s in self._stop):
                return length
        return 0


def described(
    tokenizer: Tokenizer, token: int, logprob: float, top: Sequence[tuple[int, float]]
) -> TokenLogprob:
    """A token and the likeliest ones in its place, with their texts."""
    raw = _bytes(tokenizer, token)
    return TokenLogprob(
        id=token,
        text=raw.decode(errors="replace"),
        raw=raw,
        logprob=logprob,
        top=tuple((n, _bytes(tokenizer, n).decode(errors="replace"), p) for n, p in top),
    )


def _bytes(tokenizer: Tokenizer, token: int) -> bytes:
    special = tokenizer.special(token)
    return tokenizer.bytes_of(token) if special is None else special.encode()
