"""How many tokens a reply took, as chat completions say it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backbone.request import Completion


def usage_of(completions: Sequence[Completion]) -> dict[str, Any]:
    """The usage of replies to one prompt: it counts once, what was written as often as it was."""
    prompt = max(c.prompt_tokens for c in completions)
    cached = max(c.cached_tokens for c in completions)
    return usage(prompt, sum(c.completion_tokens for c in completions), cached)


def usage(prompt: int, written: int, cached: int = 0) -> dict[str, Any]:
    """In the names of chat completions."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
