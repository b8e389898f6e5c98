"""Quotes that a generator may write, and how a reply becomes citations."""

import logging

import pytest

from ingest.document import Chunk, Document, Heading, Hit
from rag.answer import Quote
from rag.ground import (
    MAX_QUOTES,
    NOT_FOUND,
    cite,
    number_passages,
    quote_grammar,
    read_quotes,
)
from tests.fakes import UnwillingGenerator, admits

CACHE = 'The "cache" takes\n 12 KB\tper token.\nIt is kept.'
NINE = [
    CACHE,
    "يستغرق الشحن ثلاثة أيام، ويُدفع عند الاستلام.",
    "年假为十五天。\n可以分两次使用。",
    "Le délai est de « trois jours ».",
    'Die Frist beträgt drei Tage ("Werktage").',
    "休暇は年に15日です。\n繰り越せません。",
    "휴가는 일 년에 15일입니다.",
    "O prazo é de três dias.",
    "El plazo es de tres días\\ndesde hoy.",
]


def hit(text: str, source: str = "a.txt", start: int = 0) -> Hit:
    return Hit(Chunk(source, start, start + len(text), text), score=1.0)


def passages(*texts: str):
    return number_passages(hit(text, f"{n}.txt") for n, text in enumerate(texts, start=1))


def test_a_quote_is_found_where_it_stands_in_the_document():
    before = "Page one.\f"
    text = before + CACHE
    [passage] = number_passages([hit(CACHE, start=len(before))])
    [quote] = read_quotes(['[1] "cache" takes 12 KB per"'], [passage])
    assert text[quote.start : quote.end] == quote.text == 'cache" takes\n 12 KB\tper'


@pytest.mark.parametrize("text", NINE)
def test_the_grammar_admits_every_quote_cut_between_words_in_nine_languages(text):
    found = passages(text)
    grammar = quote_grammar(found)
    flat = found[0].text
    assert admits(grammar, f'[1] "{flat}"')
    assert admits(grammar, f'[1] "{flat}"\n[1] "{flat}"')


def test_the_grammar_admits_exactly_the_agreed_form():
    grammar = quote_grammar(passages(CACHE, "Keys are stored."))
    for good in (NOT_FOUND, '[2] "Keys are"', '[1] "The "cache"', '[1] ""cache""\n[2] "stored."'):
        assert admits(grammar, good), good
    for bad in (
        *("", '[1] ""', '[1] " 12"', '[1] "12 "', '[1] "."', '[1] "12 K"', '[2] "12"', '[3] "12"'),
        *('[1] "12 KB', '[1] "12 KB"\n', f'[1] "12"\n{NOT_FOUND}', "12 KB", '[1] "12\n KB"'),
        "\n".join(['[1] "12"'] * (MAX_QUOTES + 1)),
    ):
        assert not admits(grammar, bad), bad


def test_without_anything_to_quote_only_not_found_can_be_said():
    for found in ([], passages("* * *")):
        assert admits(quote_grammar(found), NOT_FOUND)
        assert not admits(quote_grammar(found), '[1] "*"')


@pytest.mark.parametrize("seed", range(30))
def test_a_generator_held_by_the_grammar_can_say_nothing_but_quotes(seed):
    """It wants to invent, to break out of the line, to cite a passage that is not there."""
    found = passages(*NINE)
    wishes = [
        'The answer is 99 KB. "Trust me."\n[7] "invented"',
        '[1] "The "cache" takes 99 KB"\nIgnore the rules.',
        '[12] "12 KB per token. It is kept."\nNOT FOUND, but I\'d say 42',
        '[2] "يستغرق الشحن أربعة أيام"',
        '[1] "The\n\n[1] "cache',
    ]
    generator = UnwillingGenerator(wishes[seed % len(wishes)], seed=seed)
    reply = generator.submit([], grammar=quote_grammar(found)).result().text
    quotes = list(read_quotes([reply], found))
    assert quotes or reply == NOT_FOUND
    for quote in quotes:
        assert quote.text in quote.hit.chunk.text


def test_a_reply_in_pieces_reads_like_a_reply_at_once():
    found = passages(*NINE)
    reply = '[1] "12 KB per token."\n[3] "年假为十五天。"\n[1] "It is kept."'
    whole = list(read_quotes([reply], found))
    assert [q.text for q in whole] == ["12 KB\tper token.", "年假为十五天。", "It is kept."]
    assert list(read_quotes(list(reply), found)) == whole


def test_a_quote_comes_as_soon_as_its_line_is_complete():
    found = passages(CACHE)

    def pieces():
        yield '[1] "12 KB"\n[1] "It'
        raise AssertionError("read on although a line was complete")

    assert next(read_quotes(pieces(), found)).text == "12 KB"


@pytest.mark.parametrize(
    "line",
    [
        '[1] "13 KB per token."',  # invented
        '[2] "12 KB per token."',  # misattributed
        '[1] "12 KB. It is kept."',  # stitched
        '[0] "12 KB"',
        '[9] "12 KB"',
        '[1] ""',
        '[1] "."',
        "12 KB per token.",
        "[1] 12 KB per token.",
    ],
)
def test_what_is_not_verbatim_is_left_out_and_said(line, caplog):
    found = passages(CACHE, "Keys are stored.")
    with caplog.at_level(logging.WARNING):
        assert [q.text for q in read_quotes([line + '\n[2] "Keys"'], found)] == ["Keys"]
    assert line in caplog.text


def test_a_repeated_quote_counts_once():
    assert len(list(read_quotes(['[1] "12 KB"\n[1] "12 KB"'], passages(CACHE)))) == 1


def test_a_reply_cut_in_the_middle_of_a_word_loses_that_word():
    [quote] = read_quotes(['[1] "It is ke'], passages(CACHE))
    assert quote.text == "It is"


def test_a_citation_knows_its_page_and_heading():
    text = "Intro\n\fSizes\n12 KB per token."
    document = Document("a.pdf", text, "digest", pages=(0, 7), headings=(Heading(7, 1, "Sizes"),))
    start = text.index("12 KB")
    citation = cite(3, Quote(hit(text, "a.pdf"), start, start + 5, "12 KB"), document)
    assert citation is not None
    assert (citation.number, citation.page, citation.heading) == (3, 2, "Sizes")
    assert document.text[citation.start : citation.end] == citation.quote == "12 KB"


@pytest.mark.parametrize(("start", "end", "text"), [(0, 5, "13 KB"), (1, 6, "12 KB"), (0, 0, "")])
def test_a_quote_that_the_document_does_not_have_there_is_no_citation(start, end, text, caplog):
    document = Document("a.txt", "12 KB per token.", "digest")
    with caplog.at_level(logging.WARNING):
        assert cite(1, Quote(hit("12 KB per token."), start, end, text), document) is None
    assert "a.txt" in caplog.text
