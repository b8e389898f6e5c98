"""What a generation may say: a JSON schema, a regular expression, Lark, quotes out of given texts.

A Grammar is text (Lark as llguidance reads it, where `<s0>` names a special token); a Matcher turns
it into the tokens allowed next. Which texts may be quoted, and how a reply is read back, is decided
elsewhere.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backbone.errors import GrammarError
from backbone.schema import Schema, as_schema, closed
from backbone.tokenizer import Tokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Ideographs, kana and Hangul syllables: no space separates them into words, so each stands alone.
CJK = (
    "\u3005-\u3007\u3040-\u3096\u309d-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
# What belongs to the character before it: combining marks, joiners, variants, skin tones, tags.
TAIL = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u0610-\u061a\u064b-\u065f"
    "\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0900-\u0903\u093a-\u094f\u1ab0-\u1aff"
    "\u1dc0-\u1dff\u200c\u200d\u20d0-\u20f0\u3099\u309a\ufe00-\ufe0f\ufe20-\ufe2f"
    "\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"
)
LETTER = rf"[^\W_{CJK}][{TAIL}]*"  # or digit
CHUNK = re.compile(
    rf"[{CJK}][{TAIL}]*"
    rf"|{LETTER}(?:{LETTER}|(?<=\d)[.,](?=\d))*"
    rf"|\s+"
    rf"|[\U0001f1e6-\U0001f1ff]{{2}}"  # a flag
    rf"|.(?:[{TAIL}]+(?:(?<=\u200d).)?)*",  # with what is joined to it
    re.DOTALL,
)

BLANK = r"[\s\x1c-\x1f]*"  # what str.strip removes
BLANK_IN_JSON = r"([\s\x1c-\x1f]|\\[tnrf]|\\u000b|\\u001[c-f])*"

# A model that may write any amount of white space sometimes writes nothing else.
COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
# Where a text is certain llguidance allows one way to cut it into tokens, at times a poor one. This
# lets the model choose. It comes last, so that error messages count the lines as written.
ANY_TOKENS = '\n%llguidance {"no_forcing": true}'
LEXER_FUEL = 20_000_000  # llguidance's default is used up by quotes out of 300,000 characters


@dataclass(frozen=True, slots=True)
class Grammar:
    """A language that a generation keeps to, in llguidance's Lark; checked when compiled."""

    lark: str

    @classmethod
    def json_schema(cls, schema: Schema) -> Grammar:
        """JSON that is valid under a schema (a mapping or a pydantic model class), on one line.

        Objects have the properties they list and no others, unless the schema says otherwise.
        Raises GrammarError for what is no schema; what is unsupported is found when compiled.
        """
        return cls(f"start: {json_rule(as_schema(schema))}")

    def check(self) -> None:
        """Raise GrammarError where no tokenizer could make this a grammar; fast, loads no model."""
        from llguidance import LLMatcher

        if error := LLMatcher.validate_grammar(self.lark):
            raise GrammarError(_reason(error))

    @classmethod
    def regex(cls, pattern: str) -> Grammar:
        """Text that a regular expression matches as a whole (Rust syntax, no look-around)."""
        from llguidance import regex_to_lark

        return cls(f"start: /{regex_to_lark(pattern)}/")

    @classmethod
    def quotes(
        cls, texts: Sequence[str], *, marks: Sequence[str] = (), decline: str | None = None
    ) -> Grammar:
        """One verbatim quote out of one of the texts.

        With `marks`, the special tokens of the texts, the quote is led by that of its text:
        `<s3>the words`. `decline` is a special token that may be said instead of quoting.
        """
        if not marks:
            choices, terminals = ["QUOTE"], [f"QUOTE: {quote(texts)}"]
        elif len(marks) == len(texts):
            choices = [f"{mark} QUOTE_{n}" for n, mark in enumerate(marks)]
            terminals = [f"QUOTE_{n}: {quote([text])}" for n, text in enumerate(texts)]
        else:
            raise ValueError(f"{len(marks)} marks were given for {len(texts)} texts")
        choices += [decline] if decline else []
        return cls("\n".join([f"start: {' | '.join(choices)}", *terminals]))


def json_rule(schema: dict[str, Any]) -> str:
    """The part of a Lark rule that matches JSON under a schema."""
    return f"%json {json.dumps(closed(schema) | {'x-guidance': COMPACT})}"


def quote(texts: Sequence[str], *, in_json: bool = False) -> str:
    """The right side of a Lark terminal that matches verbatim, non-blank quotes out of texts.

    A quote begins and ends between words. `in_json` is for one that stands inside a JSON string,
    where the text is escaped; the quotation marks around it are the caller's.
    """
    parts = [chunks for text in texts if (chunks := cut(text)) and text.strip()]
    if not parts:
        raise GrammarError("there is no text to quote from")
    if in_json:
        parts = [[json.dumps(c, ensure_ascii=False)[1:-1] for c in chunks] for chunks in parts]
    sources = " | ".join(f"(%regex {json.dumps({'substring_chunks': p})})" for p in parts)
    return f"({sources}) & ~/{BLANK_IN_JSON if in_json else BLANK}/"


def cut(text: str) -> list[str]:
    """Words, numbers, CJK characters, runs of space, other characters: what quotes are made of."""
    return CHUNK.findall(text)


class Matcher:
    """The state of one generation under its grammar."""

    def __init__(self, matcher: Any, tokens: int) -> None:
        self._matcher = matcher  # llguidance.LLMatcher
        self._tokens = tokens
        self._mask: bytes | None = None  # of the present state, where it is computed already

    def prepare(self) -> None:
        """Compute what `allowed` will say; any thread may, while no other uses this."""
        if self._mask is None:
            self._mask = self._matcher.compute_bitmask()

    def allowed(self) -> NDArray[np.bool_]:
        """Which tokens [vocabulary] may come next."""
        import numpy as np

        self.prepare()
        self._check()
        bits = np.frombuffer(self._mask or b"", dtype=np.uint8)
        return np.unpackbits(bits, count=self._tokens, bitorder="little").view(np.bool_)

    def accept(self, token: int) -> None:
        """Move on past a token that was allowed."""
        self._mask = None
        self._matcher.consume_token(token)
        self._check()

    def certain(self) -> list[int]:
        """The next tokens where the text is certain, as text is usually cut; others may do too."""
        tokens: list[int] = self._matcher.compute_ff_tokens()
        return tokens

    def valid(self, tokens: Sequence[int]) -> int:
        """How many of the tokens may come next, one after another."""
        count: int = self._matcher.validate_tokens(list(tokens))
        return count

    @property
    def finished(self) -> bool:
        """Whether nothing may follow but the end."""
        stopped: bool = self._matcher.is_stopped()
        return stopped

    def _check(self) -> None:
        if self._matcher.is_error():
            raise GrammarError(f"the grammar failed: {self._matcher.get_error()}")


class Compiler:
    """Grammars -> Matchers, for one tokenizer. Any thread may call."""

    def __init__(self, tokenizer: Tokenizer, ends: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._ends = list(ends)
        self._trie: Any = None  # llguidance.LLTokenizer, built when first needed
        self._lock = threading.Lock()

    def compile(self, grammar: Grammar) -> Matcher:
        """A fresh matcher; GrammarError says what is wrong with the grammar."""
        from llguidance import LLMatcher, LLParserLimits, LLTokenizer

        with self._lock:
            if self._trie is None:
                text = self._tokenizer.path.read_text(encoding="utf-8")
                self._trie = LLTokenizer(
                    text, n_vocab=self._tokenizer.size, eos_token=self._ends, slices=[]
                )
        limits = LLParserLimits(initial_lexer_fuel=LEXER_FUEL)
        matcher = LLMatcher(self._trie, grammar.lark + ANY_TOKENS, log_level=0, limits=limits)
        if matcher.is_error():
            raise GrammarError(_reason(matcher.get_error()))
        return Matcher(matcher, self._tokenizer.size)


def _reason(error: str) -> str:
    """llguidance's error; of a JSON schema only what is wrong with it, and not the grammar."""
    _, found, reason = error.partition("failed to compile JSON schema: ")
    if found:
        reason = " ".join(reason.partition("   1 | ")[0].split())
        if reason.startswith("oneOf constraints are not supported"):
            reason = "its oneOf is of schemas that one value may fit both; say anyOf"
        return f"the JSON schema cannot be used: {reason}"
    return f"the grammar cannot be used: {error}"
