"""Stand-ins for the seams: an encoder that hashes, generators that say what the test tells them.

They keep the contracts (rows of length 1, streams that end, grammars obeyed) and need no weights.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
from numpy.typing import NDArray

from backbone.grammar import Grammar
from backbone.request import GREEDY, Completion, Content, Message, Sampling, Stream
from backbone.schema import Schema
from backbone.tools import Tool, ToolChoice
from rag.errors import WebError
from rag.web import WebResult


class FakeEncoder:
    """A bag of hashed words: equal words make texts alike. Deterministic."""

    def __init__(self, name: str = "fake", dimension: int = 64) -> None:
        self.name = name
        self.fingerprint = f"{name}-{dimension}"
        self.dimension = dimension

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.encode_documents(texts)

    def encode_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.casefold()) or [text]:
                row[int(hashlib.md5(word.encode()).hexdigest(), 16) % self.dimension] += 1
            row /= np.linalg.norm(row)
        return rows


class FakeSearch:
    """Finds the same pages whatever is searched for, or fails; `asked` holds what it was."""

    def __init__(self, *urls: str, fails: str = "") -> None:
        self.urls = urls
        self.fails = fails
        self.asked: list[str] = []

    def search(self, query: str, *, limit: int) -> list[WebResult]:
        self.asked.append(query)
        if self.fails:
            raise WebError(self.fails)
        return [WebResult(url) for url in self.urls[:limit]]


class FakeGenerator:
    """Says the next of its replies, in small pieces, whatever it is asked.

    `requests` holds what it was asked: (messages, grammar).
    """

    name = "fake"
    context_length = 4096

    def __init__(
        self, *replies: str, abilities: Sequence[str] = ("quote", "chat", "score")
    ) -> None:
        self.replies = list(replies)
        self.abilities = frozenset(abilities)
        self.requests: list[tuple[list[Message], Grammar | None]] = []

    def count(self, content: Content) -> int:
        """A token a word."""
        parts = (content,) if isinstance(content, str) else content
        return sum(len(str(part).split()) for part in parts)

    def submit(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 512,
        sampling: Sampling = GREEDY,
        grammar: Grammar | None = None,
        schema: Schema | None = None,
        tools: Sequence[Tool] = (),
        tool_choice: ToolChoice = "auto",
        parallel_calls: bool = True,
        stop: Sequence[str] = (),
    ) -> Stream:
        if schema is not None:
            grammar = Grammar.json_schema(schema)
        self.requests.append((list(messages), grammar))
        text = self.reply(grammar)
        stream = Stream()
        for at in range(0, len(text), 7):
            stream.push(text[at : at + 7])
        stream.finish(Completion(text, "stop", prompt_tokens=10, completion_tokens=len(text)))
        return stream

    def reply(self, grammar: Grammar | None) -> str:
        return self.replies.pop(0)

    def score(self, messages: Sequence[Message], continuations: Sequence[Content]) -> list[float]:
        return [-float(i) for i in range(len(continuations))]

    def close(self) -> None:
        self.replies.clear()


class UnwillingGenerator(FakeGenerator):
    """Wants to say something else, and is held by the grammar: comes as near as it can.

    Where the byte it wants is not allowed it takes an allowed one, by a fixed random order.
    """

    def __init__(self, *replies: str, seed: int = 0, limit: int = 400) -> None:
        super().__init__(*replies)
        self.random = np.random.default_rng(seed)
        self.limit = limit

    def reply(self, grammar: Grammar | None) -> str:
        assert grammar is not None
        wanted = self.replies.pop(0).encode()
        matcher = byte_matcher(grammar)
        said = bytearray()
        for at in range(self.limit):
            allowed = [token for token, on in enumerate(matcher.compute_logit_bias()) if on]
            wish = wanted[at] if at < len(wanted) else _END
            token = wish if wish in allowed else int(self.random.choice(allowed))
            if token == _END:
                break
            matcher.consume_token(token)
            said.append(token)
        return said.decode(errors="ignore")


_END = 256  # the end-of-text token; the others are the bytes themselves


class _Bytes:
    """A tokenizer of one token a byte, in the form that llguidance asks for."""

    eos_token_id = _END
    bos_token_id = None
    tokens = [*(bytes([i]) for i in range(256)), b"<end>"]  # noqa: RUF012
    special_token_ids = [_END]  # noqa: RUF012

    def __call__(self, text: bytes) -> list[int]:
        return list(text)


def byte_matcher(grammar: Grammar) -> LLMatcher:
    """A matcher of the grammar over single bytes; token 256 ends the text."""
    tokenizer = LLTokenizer(TokenizerWrapper(_Bytes()))
    matcher = LLMatcher(tokenizer, grammar.lark)
    assert not matcher.is_error(), matcher.get_error()
    return matcher


def admits(grammar: Grammar, text: str) -> bool:
    """Whether the grammar lets this text, and nothing after it, be said."""
    matcher = byte_matcher(grammar)
    tokens = list(text.encode())
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()
