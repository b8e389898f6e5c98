"""Where answers stand, looked up in a real index."""

import pytest

from ingest.chunk import chunk
from ingest.document import Chunk, Document, Hit
from rag import Rag
from rag.errors import QuestionsError
from rag.places import Place, ranking, resolve, useful
from rag.testset import read_cases
from tests.fakes import FakeEncoder, FakeGenerator

PAGES = "First page.\fThe cache takes\n12 KB.\fThird page."


@pytest.fixture
def rag(tmp_path):
    encoder = FakeEncoder()
    with Rag.open(tmp_path / ".rag", encoder=encoder, generator=FakeGenerator()) as rag:
        for document in (
            Document("a.pdf", PAGES, "0", pages=(0, 12, 36)),
            Document("box.zip!b.txt", "Beta. Beta.", "1"),
            Document("box.zip!c.txt", "Gamma.", "2"),
        ):
            chunks = chunk(document)
            rag._index.add(document, chunks, encoder.encode_documents([c.text for c in chunks]))
        yield rag


def places(rag, **fields):
    [found] = resolve(rag, *read_cases([{"question": "q", **fields}]))
    return found


def test_a_source_is_a_place_and_an_archive_means_what_it_holds(rag):
    a, box = places(rag, source=["a.pdf", "box.zip"])
    assert a.holds("a.pdf", 0, 1)
    assert not a.holds("box.zip!b.txt", 0, 1)
    assert box.holds("box.zip!b.txt", 0, 1)
    assert box.holds("box.zip!c.txt", 0, 1)


def test_a_page_is_its_span_of_the_text(rag):
    [place] = places(rag, source="a.pdf", page=2)
    assert place.spans == (("a.pdf", 12, 36),)
    [last] = places(rag, source="a.pdf", page=3)
    assert last.spans == (("a.pdf", 36, len(PAGES)),)


def test_a_quote_is_found_however_lines_break_and_wherever_it_stands(rag):
    [place] = places(rag, source="a.pdf", quote="takes 12   KB.")
    [(source, start, end)] = place.spans
    assert (source, PAGES[start:end]) == ("a.pdf", "takes\n12 KB.")
    [beta] = places(rag, source="box.zip", quote="Beta.")
    assert beta.spans == (("box.zip!b.txt", 0, 5), ("box.zip!b.txt", 6, 11))


def test_characters_are_a_place(rag):
    [place] = places(rag, source="a.pdf", start=12, end=20)
    assert place.spans == (("a.pdf", 12, 20),)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"source": "a.pfd"}, "did you mean a.pdf?"),
        ({"source": "a.pdf", "page": 4}, "has no page 4"),
        ({"source": "box.zip", "page": 1}, "has no page 1"),
        ({"source": "a.pdf", "quote": "takes 13 KB"}, "does not say: takes 13 KB"),
        ({"source": "a.pdf", "start": 0, "end": 9_999}, "ends at"),
        ({"source": "box.zip", "start": 0, "end": 2}, "inside the archive"),
    ],
)
def test_what_the_index_does_not_have_is_told_with_the_line(rag, fields, complaint):
    fine = {"question": "fine", "source": "a.pdf"}
    with pytest.raises(QuestionsError) as error:
        resolve(rag, *read_cases([fine, {"question": "q", **fields}]))
    assert str(error.value).startswith("line 2: ")
    assert complaint in str(error.value)


def test_half_of_the_shorter_one_is_enough_to_be_held():
    place = Place(frozenset(["a"]), (("a", 100, 120),))
    assert place.holds("a", 0, 500)
    assert place.holds("a", 115, 120)
    assert place.holds("a", 110, 400)
    assert not place.holds("a", 111, 400)
    assert not place.holds("a", 118, 130)
    assert not place.holds("b", 100, 120)
    assert not place.holds("a", 110, 110)


def hit(source, start, end):
    return Hit(Chunk(source, start, end, "x" * (end - start)), 1.0)


def test_a_place_is_ranked_where_the_first_passage_holds_it():
    one, two = Place(frozenset("a"), (("a", 0, 10),)), Place(frozenset("a"), (("a", 20, 30),))
    hits = [hit("b", 0, 9), hit("a", 0, 12), hit("a", 0, 14), hit("a", 18, 40)]
    ranked, grades = ranking(hits, [one, two])
    assert [id_ in grades for id_ in ranked] == [False, True, False, True]
    assert grades == {"place 0": 1.0, "place 1": 1.0}
    assert useful(hits, [one, two]) == [False, True, True, True]


def test_one_passage_may_hold_several_places():
    both = [Place(frozenset("a"), (("a", 0, 10),)), Place(frozenset("a"), (("a", 20, 30),))]
    ranked, grades = ranking([hit("a", 0, 50)], both)
    assert sorted(ranked) == sorted(grades)
