"""What is read of the hits: every word of the best, once, neighbours together."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ingest.chunk import chunk
from ingest.document import Document, Hit
from ingest.errors import UnknownSource
from rag.answer import Answer, Citation
from rag.spans import distinct_hits, noted, reading_spans
from tests.ingest.making import document

PARTS = [
    f"Part {n} says that the {noun} of the {n}th year was counted on a warm and windless day."
    for n, noun in enumerate(("wheat", "barley", "salt", "honey", "timber", "wool"), start=1)
]
BOOK = document("book.txt", "\n\n".join(PARTS))
CHUNKS = chunk(BOOK, limit=100)


def known(*documents: Document):
    """Gives these documents by their sources."""
    found = {each.source: each for each in documents}

    def get(source: str) -> Document:
        if source not in found:
            raise UnknownSource(source)
        return found[source]

    return get


def hits(*chunks, first: float = 1.0) -> list[Hit]:
    """Hits for chunks, the best first."""
    return [Hit(each, score=first - number / 100) for number, each in enumerate(chunks)]


def only(source: str, text: str, **facts) -> Hit:
    """A hit that is its whole document."""
    [single] = chunk(document(source, text, **facts))
    return Hit(single, score=0.5)


def test_neighbours_become_one_span_of_the_document():
    found = hits(CHUNKS[2], CHUNKS[4], CHUNKS[1])
    spans = reading_spans(found, k=3, document=known(BOOK)).hits
    assert [span.chunk.text for span in spans] == [f"{PARTS[1]}\n\n{PARTS[2]}", PARTS[4]]
    assert spans[0].score == found[0].score


def test_a_span_across_pages_begins_on_the_first():
    pages = document("a.pdf", f"{PARTS[0]}\f{PARTS[1]}", pages=(0, len(PARTS[0]) + 1))
    one, two = chunk(pages)
    [span] = reading_spans(hits(two, one), k=2, document=known(pages)).hits
    assert span.chunk.text == pages.text
    assert span.chunk.page == 1


def test_a_gap_between_chunks_parts_spans():
    spans = reading_spans(hits(CHUNKS[0], CHUNKS[2]), k=2, document=known(BOOK)).hits
    assert [span.chunk for span in spans] == [CHUNKS[0], CHUNKS[2]]


@given(st.permutations(range(6)), st.integers(1, 6))
def test_spans_hold_what_the_best_hits_hold_verbatim_and_no_more(order, k):
    found = hits(*(CHUNKS[n] for n in order))
    spans = reading_spans(found, k=k, document=known(BOOK)).hits
    read = "".join(span.chunk.text for span in spans)
    assert [part in read for part in PARTS] == [n in order[:k] for n in range(6)]
    for span in spans:
        place = span.chunk
        assert BOOK.text[place.start : place.end] == place.text
        assert sum(part in place.text for part in PARTS) <= 3
    assert [s.score for s in spans] == sorted((s.score for s in spans), reverse=True)


def test_without_documents_nothing_is_merged():
    assert len(reading_spans(hits(*CHUNKS), k=4).hits) == 4


def test_a_document_that_is_gone_or_has_changed_is_read_by_its_chunks():
    changed = document("book.txt", "Another edition.")
    for documents in ([], [changed]):
        spans = reading_spans(hits(*CHUNKS[:2]), k=2, document=known(*documents)).hits
        assert [span.chunk for span in spans] == CHUNKS[:2]


def test_repeated_text_gives_its_place_to_another_passage():
    found = [
        only("a.txt", PARTS[0]),
        only("mail.eml", "> " + PARTS[0].upper().replace(" ", "\n> ")),
        only("b.txt", PARTS[1]),
    ]
    spans = reading_spans(found, k=2)
    assert [hit.chunk.source for hit in spans.hits] == ["a.txt", "b.txt"]
    assert [hit.chunk.source for hit in spans.repeated] == ["mail.eml"]


def test_copies_give_their_places_to_other_hits_and_the_newest_is_read():
    copies = [only(f"{n}.txt", PARTS[0]) for n in range(8)]
    newest = replace(copies[5], chunk=replace(copies[5].chunk, date="2026-01-01"))
    spans = distinct_hits([*copies[:5], newest, *copies[6:], only("z.txt", PARTS[1])], k=2)
    assert [hit.chunk.source for hit in spans.hits] == ["5.txt", "z.txt"]
    assert spans.hits[0].score == copies[0].score
    assert len(spans.repeated) == 7


def test_a_version_that_differs_in_one_word_is_read_too():
    for other in (PARTS[0].replace("warm", "cold"), PARTS[0].replace("was", "was not")):
        spans = reading_spans([only("a.txt", PARTS[0]), only("b.txt", other)], k=2)
        assert len(spans.hits) == 2


def test_a_passage_inside_a_longer_one_is_not_read_again():
    whole = only("whole.txt", " ".join(PARTS[:3]))
    spans = reading_spans([whole, only("part.txt", PARTS[1])], k=2)
    assert [hit.chunk.source for hit in spans.hits] == ["whole.txt"]


def test_a_longer_passage_takes_the_places_of_those_it_holds():
    whole = only("forwarded.eml", "Forwarded message: " + " ".join(PARTS[:3]))
    found = [only("a.txt", PARTS[1]), only("b.txt", PARTS[4]), whole, only("c.txt", PARTS[2])]
    spans = reading_spans(found, k=2)
    assert [hit.chunk.source for hit in spans.hits] == ["forwarded.eml", "b.txt"]
    assert spans.hits[0].score == found[0].score
    assert {hit.chunk.source for hit in spans.repeated} == {"a.txt", "c.txt"}


def test_a_passage_inside_two_neighbours_is_not_read_again():
    moved = only("moved.txt", f"{PARTS[1][20:]} {PARTS[2][:59]}")
    found = [*hits(CHUNKS[1], CHUNKS[2]), moved]
    assert reading_spans(found, k=3, document=known(BOOK)).repeated == (moved,)
    assert reading_spans(found, k=3).repeated == ()


def test_a_few_words_may_mean_another_thing_in_another_document():
    spans = reading_spans([only("a.txt", "Notice: 30 days"), only("b.txt", "Notice: 30 days")], k=2)
    assert len(spans.hits) == 2


def test_the_same_words_under_another_heading_are_read_too():
    found = [
        Hit(replace(only(name, PARTS[0]).chunk, heading=f"Contract with {name}"), 0.5)
        for name in ("Acme", "Bolt")
    ]
    assert len(reading_spans(found, k=2).hits) == 2


def test_of_the_same_text_the_newest_is_read_in_the_place_of_the_best():
    old = only("old.txt", PARTS[0], date="2020-01-01")
    new = only("new.txt", PARTS[0], date="2024-05-01")
    spans = reading_spans([old, only("b.txt", PARTS[1]), new], k=2)
    assert [hit.chunk.source for hit in spans.hits] == ["new.txt", "b.txt"]


def test_an_answer_says_who_else_has_what_it_quotes():
    repeated = (only("copy.txt", PARTS[0]), only("mail.eml", f"Forwarded: {PARTS[0]}"))
    quote = Citation(1, "the wheat of the 1th year", "a.txt", None, None, 17, 42)
    answer = Answer("?", True, citations=(quote,), notes=("first",))
    also = "what is quoted from a.txt is also in copy.txt, mail.eml"
    assert noted(answer, repeated).notes == ("first", also)
    other = Citation(1, "Something else", "a.txt", None, None, 0, 14)
    assert noted(Answer("?", True, citations=(other,)), repeated).notes == ()
