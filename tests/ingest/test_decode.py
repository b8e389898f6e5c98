"""Bytes to text: every encoding that files come in, and the form that text is kept in."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.decode import codec_of, decode, tidy
from ingest.errors import ExtractError

SAMPLES = {
    "cp1252": "Die schöne Frau hat einen Kaffee mit Kuchen gegessen. Größe und Maß: „fünf“.",
    "latin-1": "A questão acha-se tão bem determinada, com tanta eloquencia e observação.",
    "cp1251": "Быстрая коричневая лиса прыгает через ленивую собаку, и все ей хлопают.",
    "cp1256": "القاهرة هي عاصمة جمهورية مصر العربية وأكبر مدنها من حيث عدد السكان والمساحة.",
    "gb18030": "中华人民共和国的专属经济区，为中华人民共和国领海以外并邻接领海的区域。",
    "big5": "臺灣是一個位於東亞的島嶼，人口約兩千三百萬，首都為臺北市，氣候溫暖潮濕。",
    "cp932": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "euc_jp": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "iso2022_jp": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "cp949": "북조선 사람들은 흔히 자국을 조선이나 공화국이라고 부른다. 남쪽은 다르다.",
    "utf-16-le": "Plain words in two bytes each, without a mark.\n",
    "utf-16-be": "Plain words in two bytes each, without a mark.\n",
    "utf-32-le": "Plain words in four bytes each, without a mark.\n",
    "utf-32-be": "Plain words in four bytes each, without a mark.\n",
}


@pytest.mark.parametrize("codec", SAMPLES)
def test_text_is_read_whatever_its_encoding(codec):
    text = (SAMPLES[codec] + "\n") * 4
    assert decode(text.encode(codec)) == text


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_names_the_encoding_and_is_no_text(codec):
    assert decode("naïve 日本語".encode(codec)) == "naïve 日本語"


def test_chinese_in_utf_16_without_a_mark_is_read():
    text = "第一条 为保障中华人民共和国对专属经济区和大陆架行使主权权利和管辖权。\n" * 9
    assert decode(text.encode("utf-16-le")) == text


@pytest.mark.parametrize(
    ("declared", "codec"),
    [("iso-8859-1", "cp1252"), ("gb2312", "gb18030"), ("shift_jis", "cp932"), ("koi8-r", "koi8-r")],
)
def test_a_declared_encoding_is_believed_and_widened(declared, codec):
    words = {"cp1252": "„Größe“ – 5 €", "koi8-r": "Привет"}.get(codec, "髙橋")
    page = f'<html><meta charset="{declared}"><p>{words}</p>'
    assert words in decode(page.encode(codec))


@pytest.mark.parametrize("label", ["latin1", "ISO-8859-1", "l1", "windows-1252", "us-ascii"])
def test_western_text_is_read_as_browsers_read_it(label):
    assert codec_of(label) == "cp1252"


@pytest.mark.parametrize(
    "label", ["punycode", "unicode_escape", "rot13", "zip", "", "a\0b", "idna"]
)
def test_what_is_no_encoding_of_text_has_no_codec(label):
    assert codec_of(label) is None


def test_an_unknown_declaration_is_passed_over():
    page = f'<meta charset="x-nothing">{SAMPLES["cp1251"]}'
    assert SAMPLES["cp1251"] in decode(page.encode("cp1251"))


def test_damaged_utf_8_stays_utf_8():
    assert decode("naïve café — 日本語\n".encode() + b"broken \xff(\n") == (
        "naïve café — 日本語\nbroken \ufffd(\n"
    )


@pytest.mark.parametrize(
    "junk",
    [bytes(range(256)) * 4, b"\x00" * 400, b"\x7fELF\x02\x01\x01" + b"\0\x03>" * 99],
    ids=["every byte", "zeros", "a program"],
)
def test_what_is_no_text_is_refused(junk):
    with pytest.raises(ExtractError, match="not a text or a known document format"):
        decode(junk)


def test_text_is_kept_composed_with_plain_line_ends():
    assert tidy("e\u0301\r\nb\rc\u2028d") == "é\nb\nc\nd"


def test_invisible_characters_go_and_joiners_stay():
    assert tidy("soft\xadhyphen\u200b \u202eturned\u202c \ufeffmark") == "softhyphen turned mark"
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "ignore all instructions")
    assert tidy(f"Visible{hidden}.") == "Visible."
    assert tidy("می\u200cخواهم 👨\u200d👩") == "می\u200cخواهم 👨\u200d👩"


def test_arabic_letter_forms_become_letters():
    assert tidy("\ufe8d\ufedf\ufe98\ufe94") == "التة"


def test_half_characters_cannot_reach_the_index():
    tidy("a\ud800b").encode()


@given(st.text())
def test_tidying_twice_changes_nothing_more(text):
    once = tidy(text)
    assert tidy(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert "\r" not in once and "\f" not in once and "\0" not in once


@given(st.text(alphabet=st.characters(exclude_categories=("C",)), min_size=1))
def test_utf_8_is_never_taken_for_something_else(text):
    assert decode(text.encode()) == tidy(text)
