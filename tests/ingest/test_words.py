"""The analysis of words in many scripts, and BM25 over it."""

import random
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import IndexFault
from ingest.words import WordIndex, grams, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CAFÉ", "café"),
        ("été", "ete"),
        ("Straße", "STRASSE"),
        ("ﬁne", "fine"),
        ("ＡＢＣ１２３", "abc123"),
        ("ｶﾅ", "カナ"),
        ("أحمد", "احمد"),
        ("مدرسة", "مدرسه"),
        ("الطعامَ", "الطعام"),
        ("كتـــاب", "كتاب"),
        ("على", "علي"),
        ("invoices", "invoice"),
        ("한국어", unicodedata.normalize("NFD", "한국어")),
        ("kv_cache", "KV cache"),
    ],
)
def test_spellings_of_the_same_words_are_the_same_terms(one, other):
    assert words(one) == words(other)


@pytest.mark.parametrize(
    ("one", "other"), [("か", "が"), ("ハハ", "パパ"), ("boss", "bos"), ("gas", "ga")]
)
def test_different_words_stay_different(one, other):
    assert words(one) != words(other)


def test_scripts_without_spaces_are_pairs_of_characters_beside_other_words():
    assert words("AI技術の本、水") == ["ai", "技術", "術の", "の本", "水"]
    assert words("한국어 책") == ["한국", "국어", "책"]


def test_grams_are_parts_of_words_and_single_cjk_characters():
    assert grams("cabin 東京") == ["<cab", "cabi", "abin", "bin>", "東", "京"]
    assert grams("a of") == ["<a>", "<of>"]
    assert grams("") == words("… — !") == []


@given(st.text())
def test_terms_hold_no_white_space_and_folding_twice_changes_nothing(text):
    for term in (*words(text), *grams(text)):
        assert term and not any(character.isspace() for character in term)
    once = " ".join(words(text))
    assert set(words(text)) >= {w for w in words(once) if len(w) != 1} or not once


def index_of(folder, *texts):
    index = WordIndex.create(folder)
    index.update(enumerate(texts, 1), (), mark="first")
    return index


@pytest.mark.parametrize("query", ["首都", "水", "京", "東京", "漢字", "語"])
def test_short_chinese_and_japanese_queries_find_their_text(query):
    texts = ["東京は日本の首都です", "北京是中国的首都。水很清", "漢字と日本語", "hello world"]
    found = [i for i, _ in index_of(None, *texts).search(query, 10)]
    holding = [i for i, text in enumerate(texts, 1) if query in text]
    assert sorted(found[: len(holding)]) == holding  # parts of the query may be found after it


def test_inflected_and_compound_words_are_found_by_their_parts():
    index = index_of(None, "Die Krankenversicherung zahlt.", "Das Wetter ist schön.")
    assert index.search("Versicherungen", 1)[0][0] == 1


def test_what_was_committed_is_there_when_opened_again(tmp_path):
    index_of(tmp_path / "words", "one fish", "two fish")
    index = WordIndex.open(tmp_path / "words")
    assert (index.mark, len(index)) == ("first", 2)
    assert [i for i, _ in index.search("two", 5)] == [2]


def test_a_removed_or_replaced_chunk_leaves_no_ghost(tmp_path):
    index = index_of(tmp_path / "words", "apple", "banana", "mango")
    index.update([(2, "blueberry")], [1], mark="second")
    for query, expected in (("apple", []), ("banana", []), ("blueberry", [2]), ("lemon", [])):
        assert [i for i, _ in index.search(query, 5)] == expected
    assert (index.mark, len(index)) == ("second", 2)


def test_a_reader_sees_commits_when_it_reloads(tmp_path):
    writer = index_of(tmp_path / "words", "apple")
    reader = WordIndex.open(tmp_path / "words")
    writer.update([(2, "banana")], [1], mark="second")
    assert reader.search("apple", 5) and reader.mark == "first"
    reader.reload()
    assert not reader.search("apple", 5) and reader.search("banana", 5)
    assert reader.mark == "second"


def test_a_filter_gives_the_best_of_what_it_allows():
    rng = random.Random(1)
    texts = [" ".join(rng.choices(["red", "green", "fish", "bird"], k=6)) for _ in range(300)]
    index = index_of(None, *texts)
    every = index.search("red fish", 300)
    allowed = set(rng.sample(range(1, 301), 40))
    expected = [(i, s) for i, s in every if i in allowed][:7]
    found = index.search("red fish", 7, allowed=allowed)
    assert [s for _, s in found] == pytest.approx([s for _, s in expected])
    assert {i for i, _ in found} <= allowed
    assert index.search("red fish", 7, allowed=[]) == []


def test_rare_terms_weigh_more_and_unknown_ones_most():
    idf = index_of(None, "the cat", "the dog", "the bird").idf(["the", "cat", "unicorn"])
    assert 0 < idf["the"] < idf["cat"] < idf["unicorn"]


def test_a_query_without_words_finds_nothing():
    assert index_of(None, "text").search("?!", 5) == []


def test_damage_is_noticed_when_opening(tmp_path):
    folder = tmp_path / "words"
    texts = [f"word{i} and word{i * 7} or word{i * 13}" for i in range(2000)]
    index_of(folder, *texts)
    files = [p for p in folder.iterdir() if p.suffix in {".idx", ".term", ".fast", ".store"}]
    assert len(files) >= 4
    for path in files:
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 0x10
        for damaged in (bytes(flipped), whole[: len(whole) // 2], b""):
            path.write_bytes(damaged)
            with pytest.raises(IndexFault):
                WordIndex.open(folder)
        path.write_bytes(whole)
    assert WordIndex.open(folder).search("word7", 1)
    (folder / "meta.json").unlink()
    with pytest.raises(IndexFault):
        WordIndex.open(folder)
