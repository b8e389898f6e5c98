"""The parts that requests share, as they are on the wire: strict models that refuse the unknown.

pydantic stays in this package. What OpenAI's or Together's clients send by habit and what changes
nothing here is declared as Harmless; any other unknown field is an error that names it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from backbone.request import Sampling

# What Liquid recommends for LFM2, where a request says nothing.
DEFAULT = Sampling(temperature=0.3, min_p=0.15, repetition_penalty=1.05)
LONGEST_STOP = 1000  # characters
SEEDS = 2**63

Ignored = Annotated[Any, Field(description="Accepted; it changes nothing here.")]
StopText = Annotated[str, Field(min_length=1, max_length=LONGEST_STOP)]
Stop = StopText | Annotated[list[StopText], Field(max_length=64)] | None


class Body(BaseModel):
    """Strict: no unknown fields, no text where a number belongs, no infinities."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Harmless(Body):
    """Fields for bookkeeping at other services."""

    user: Ignored = None
    metadata: Ignored = None
    service_tier: Ignored = None
    safety_identifier: Ignored = None
    prompt_cache_key: Ignored = None
    prompt_cache_retention: Ignored = None


class Sampled(Body):
    """How tokens are chosen."""

    temperature: float | None = Field(None, ge=0, le=100)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=-1, lt=2**31, description="0 and -1 switch it off.")
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=100)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        None, max_length=1024, description="Token ids (as text) and what is added to their logits."
    )
    seed: int | None = None

    def sampling(self, number: int = 0) -> Sampling:
        """As the backbone takes it, for the choice of that number."""
        return Sampling(
            temperature=_given(self.temperature, DEFAULT.temperature),
            top_k=max(0, self.top_k or 0),
            top_p=max(1e-6, _given(self.top_p, DEFAULT.top_p)),
            min_p=_given(self.min_p, DEFAULT.min_p),
            repetition_penalty=_given(self.repetition_penalty, DEFAULT.repetition_penalty),
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            logit_bias=tuple((_token(k), v) for k, v in (self.logit_bias or {}).items()),
            seed=None if self.seed is None else (self.seed + number) % SEEDS,
        )


class StreamOptions(Body):
    """What a stream brings besides."""

    include_usage: bool | None = None
    include_obfuscation: Ignored = None


class FunctionName(Body):
    """The name of a function."""

    name: str = Field(min_length=1, max_length=128)


class CachedTokens(BaseModel):
    """Tokens of the prompt that were not run again."""

    cached_tokens: int


class UsageReply(BaseModel):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens


ObjectList = Literal["list"]


def stop_texts(stop: Stop) -> tuple[str, ...]:
    """The stop strings of a request."""
    if stop is None:
        return ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


def _given(value: float | None, default: float) -> float:
    return default if value is None else value


def _token(name: str) -> int:
    if not name.isascii() or not name.isdigit() or len(name) > 9:
        raise ValueError(f"logit_bias: {name[:20]!r} is no token id")
    return int(name)
