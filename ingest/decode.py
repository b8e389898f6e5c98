"""Bytes of unknown encoding to text, and text to the form in which it is kept.

Knows encodings and invisible characters; knows nothing of file formats.
"""

from __future__ import annotations

import codecs
import re
import unicodedata

from ingest.errors import ExtractError

_MARKS = (  # the longer marks first: UTF-32 little-endian begins like UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(
    rb"""(?:<meta[^>]{0,200}?charset|<\?xml[^>]{0,100}?encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.I
)
# What a declaration says and what such files hold: browsers read them so, too.
_WIDENED = {"gb2312": "gb18030", "gbk": "gb18030", "ascii": "cp1252", "iso8859-1": "cp1252"}
_WIDENED |= {"iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874"}
_WIDENED |= {"shift_jis": "cp932", "euc_kr": "cp949"}
# Left to itself, charset_normalizer takes Latin-1 for cp1250 ("ã" becomes "ă"): these are enough.
_GUESSES = ["cp1252", "gb18030", "big5", "cp932", "euc_jp", "iso2022_jp", "cp949", "cp1256"]
_GUESSES += ["cp1251", "utf_16_le", "utf_16_be"]
# Python has codecs under these names, slow ones, and no text file is written in them.
_NO_ENCODINGS = frozenset(("idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf_7"))
_SAMPLE = 200_000

_LINE_END = re.compile("\r\n?|[\x85\u2028\u2029]")
# Controls, soft hyphens, zero-width and direction marks, tag characters: they show nothing, break
# words apart for search, and can carry text that only a machine reads. The joiners U+200C and
# U+200D stay: Persian and emoji need them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064"
    "\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]+"
)
_BROKEN = re.compile("[\ud800-\udfff\ufffe\uffff]")
_PRESENTATION = re.compile("[\ufb50-\ufdff\ufe70-\ufefc]+")  # Arabic letters drawn in their place
_UNPRINTABLE = frozenset(("Cc", "Cn", "Co", "Cs"))


def tidy(text: str) -> str:
    r"""The text as it is kept: Unicode NFC, lines ended by "\n", nothing invisible in it."""
    text = _LINE_END.sub("\n", text.replace("\f", "\n"))
    text = _BROKEN.sub("\ufffd", _INVISIBLE.sub("", text))
    text = _PRESENTATION.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text)
    return unicodedata.normalize("NFC", text)


def decode(data: bytes) -> str:
    """The text in some bytes, tidied; ExtractError when they are not text."""
    text = tidy(_plausible(_decoded(data)))
    if text and text.count("\ufffd") > len(text) / 4:
        raise ExtractError("not a text or a known document format")
    return text


def codec_of(label: str) -> str | None:
    """Python's codec for what a document or server calls its encoding; None where there is none."""
    try:
        b"a".decode(label, "ignore")  # refuses what is no encoding of text
        name = codecs.lookup(label).name
    except (LookupError, ValueError):
        return None
    return None if name.replace("-", "_") in _NO_ENCODINGS else _WIDENED.get(name, name)


def _decoded(data: bytes) -> str:
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(codec, "replace")
    if (wide := _without_mark(data)) is not None:
        return data.decode(wide, "replace")
    if b"\x1b$" in data[:_SAMPLE]:  # ISO-2022-JP is seven-bit, so it would pass as UTF-8
        return data.decode("iso2022_jp", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _foreign(data)


def _without_mark(data: bytes) -> str | None:
    """UTF-16 or UTF-32 by where the zero bytes are: Latin letters and line ends have them."""
    head = data[:4000]
    if not head or head.count(0) <= len(head) / 20:
        return None
    zeros = [head[i::4].count(0) for i in range(4)]
    width = len(head) / 4
    if len(data) % 4 == 0 and max(zeros[0] + zeros[1], zeros[2] + zeros[3]) > 1.95 * width:
        return "utf-32-be" if zeros[0] > zeros[3] else "utf-32-le"
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if min(even, odd) * 10 > max(even, odd):
        raise ExtractError("not a text or a known document format")
    return "utf-16-be" if even > odd else "utf-16-le"


def _foreign(data: bytes) -> str:
    """Bytes that are not valid UTF-8: as declared, as damaged UTF-8, or as their statistics say."""
    declared = _DECLARED.search(data[:4000])
    if declared is not None and (codec := codec_of(declared[1].decode("ascii", "replace"))):
        return data.decode(codec, "replace")
    damaged = data.decode("utf-8", "replace")
    lost = damaged.count("\ufffd")
    if lost <= sum(map(len, re.findall("[^\x00-\x7f\ufffd]+", damaged))):
        return damaged
    return _guessed(data)


def _guessed(data: bytes) -> str:
    from charset_normalizer import from_bytes  # 30 ms to import, and most files are UTF-8

    # A cut inside a character would hide the right codec: end the sample at a line where possible.
    sample = data[:_SAMPLE]
    if len(data) > _SAMPLE:
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    best = from_bytes(sample, cp_isolation=_GUESSES).best()
    return data.decode(best.encoding if best is not None else "cp1252", "replace")


def _plausible(text: str) -> str:
    """The text itself; ExtractError when its beginning is full of what no text holds."""
    head = text[:4000]
    odd = sum(unicodedata.category(c) in _UNPRINTABLE and c not in "\t\n\r\f\x1b" for c in head)
    if odd > len(head) / 50:
        raise ExtractError("not a text or a known document format")
    return text
