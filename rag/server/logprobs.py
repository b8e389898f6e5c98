"""Log-probabilities in OpenAI's form and Together's, in one object that both clients can read."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from backbone.request import TokenLogprob

LEAST = -9999.0  # stands for minus infinity, which JSON cannot say


def chat_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    """`content` is OpenAI's, the rest Together's."""
    return {"content": [_content(token) for token in tokens], "refusal": None, **_lists(tokens)}


def text_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    """Of text completions: lists, with where each token begins in the text."""
    offsets, at = [], 0
    for token in tokens:
        offsets.append(at)
        at += len(token.text)
    return {**_lists(tokens), "text_offset": offsets}


def _content(token: TokenLogprob) -> dict[str, Any]:
    return {
        "token": token.text,
        "logprob": _finite(token.logprob),
        "bytes": list(token.raw),
        "top_logprobs": [
            {"token": text, "logprob": _finite(logprob), "bytes": list(text.encode())}
            for _, text, logprob in token.top
        ],
    }


def _lists(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    return {
        "token_ids": [token.id for token in tokens],
        "tokens": [token.text for token in tokens],
        "token_logprobs": [_finite(token.logprob) for token in tokens],
        "top_logprobs": [
            {text: _finite(logprob) for _, text, logprob in token.top} for token in tokens
        ],
    }


def _finite(logprob: float) -> float:
    return logprob if isfinite(logprob) else LEAST
