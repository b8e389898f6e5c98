"""Text <-> token ids, by the `tokenizer.json` of a checkpoint (byte-level BPE).

Text given to `encode` never becomes a special or added token, whatever it says; only
`encode_template` knows those. Knows nothing of messages or models.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backbone.config import read_json
from backbone.errors import CheckpointError


class Tokenizer:
    """The tokenizer of one checkpoint.

    `added` maps the text of special and other added tokens to their ids, `marked` finds them in a
    text; `size` is one more than the highest id; `path` is the file it came from.
    """

    def __init__(self, bpe: Any, added: dict[str, int], path: Path) -> None:
        self.path = path
        self.added = added
        self._bpe = bpe  # tokenizers.Tokenizer that knows no added token
        self._texts = {number: text for text, number in added.items()}
        self._bytes: dict[int, bytes] = {}
        self.marked = re.compile(
            "|".join(re.escape(t) for t in sorted(added, key=len, reverse=True))
        )
        vocabulary = bpe.get_vocab()
        self.size = 1 + max(*vocabulary.values(), *added.values())
        self._longest = max(
            map(len, vocabulary)
        )  # bytes of a token: each is written as a character

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """Read `tokenizer.json` in a folder; CheckpointError when missing or of another kind."""
        path = folder / "tokenizer.json"
        raw = read_json(path)
        try:
            if raw["model"]["type"] != "BPE" or raw["decoder"]["type"] != "ByteLevel":
                raise CheckpointError(f"{path} is not a byte-level BPE, which every LFM2 has")
            added = {token["content"]: int(token["id"]) for token in raw["added_tokens"]}
            return cls(_plain_bpe(raw, set(added.values())), added, path)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged: {error!r}") from None

    def encode(self, text: str) -> list[int]:
        """The ids of a text in which nothing is special."""
        ids: list[int] = self._bpe.encode(text, add_special_tokens=False).ids
        return ids

    def least(self, text: str) -> int:
        """How many tokens a text takes at the least, at no cost."""
        return len(text) // self._longest if self._bpe.normalizer is None else 0

    def encode_template(self, text: str) -> list[int]:
        """The ids of a text written by a chat template: added tokens are recognised."""
        ids: list[int] = []
        for part in self.cut(text):
            ids += self.encode(part) if isinstance(part, str) else [part]
        return ids

    def cut(self, text: str) -> Iterator[str | int]:
        """A text written by a chat template as plain texts and the ids of added tokens."""
        at = 0
        for match in self.marked.finditer(text):
            yield text[at : match.start()]
            yield self.added[match.group()]
            at = match.end()
        yield text[at:]

    def special(self, number: int) -> str | None:
        """The text of a special or added token, None for any other id."""
        return self._texts.get(number)

    def bytes_of(self, number: int) -> bytes:
        """The bytes that a plain token stands for; none for an id without a token."""
        if number not in self._bytes:
            token = self._bpe.id_to_token(number) or ""
            self._bytes[number] = bytes(BYTES[character] for character in token)
        return self._bytes[number]


class Detokenizer:
    """Token ids, one by one -> pieces of text that never split a character.

    Special tokens come out as their text when `show_special`, else they vanish. Bytes of a
    character that is never completed are dropped.
    """

    def __init__(self, tokenizer: Tokenizer, *, show_special: bool = False) -> None:
        self._tokenizer = tokenizer
        self._show_special = show_special
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, number: int) -> str:
        """The text that one more token completes, often a word and sometimes nothing."""
        special = self._tokenizer.special(number)
        if special is None:
            return self._utf8.decode(self._tokenizer.bytes_of(number))
        self._utf8.reset()
        return special if self._show_special else ""


def _plain_bpe(raw: dict[str, Any], added: set[int]) -> Any:
    """The tokenizer without its added tokens, which cannot come out of any text then."""
    from tokenizers import Tokenizer as Bpe
    from tokenizers.models import BPE

    model = raw["model"]
    vocabulary = {token: number for token, number in model["vocab"].items() if number not in added}
    pairs = (m.split(" ") if isinstance(m, str) else m for m in model["merges"])
    merges = [
        (a, b) for a, b in pairs if a in vocabulary and b in vocabulary and a + b in vocabulary
    ]
    # The large parts go in as objects: a second parse of the file would take twice as long.
    frame: dict[str, Any] = {
        "added_tokens": [],
        "truncation": None,
        "padding": None,
        "post_processor": None,
        "model": {"type": "BPE", "vocab": {}, "merges": []},
    }
    try:
        bpe = Bpe.from_str(json.dumps(raw | frame))
        bpe.model = BPE(
            vocab=vocabulary, merges=merges, ignore_merges=model.get("ignore_merges", False)
        )
    except Exception as error:  # noqa: BLE001  the library raises nothing narrower
        raise ValueError(error) from None
    return bpe


def _byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte in the vocabulary of a byte-level BPE.

    Printable ones stand for themselves, the others for the characters from 256 on (GPT-2).
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + number): byte for number, byte in enumerate(others)
    }


BYTES = _byte_alphabet()
