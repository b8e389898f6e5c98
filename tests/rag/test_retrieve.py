"""Joining the two legs: bounded scores, who decides when, and what is asked of the index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.document import Chunk, Hit
from ingest.encode import StaticEncoder
from rag.fuse import fuse
from rag.retrieve import CANDIDATES, retrieve


def hit(name: str, *, words: float = 0.0, vector: float = 0.0, coverage: float = 0.0) -> Hit:
    return Hit(Chunk(name, 0, 1, name), 0.0, words=words, vector=vector, coverage=coverage)


def names(hits: Sequence[Hit]) -> list[str]:
    return [found.chunk.source for found in hits]


class Encoder:
    """Encodes everything alike and remembers what it was asked."""

    name, fingerprint, dimension = "one", "1", 2

    def __init__(self) -> None:
        self.questions: list[str] = []

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        self.questions += texts
        return np.array([[1.0, 0.0]] * len(texts), np.float32)

    def encode_documents(self, texts: Sequence[str]) -> np.ndarray:
        raise AssertionError("searching encodes no documents")


class Index:
    """Gives the hits it was made with, and remembers how it was asked."""

    def __init__(self, *hits: Hit) -> None:
        self.hits = hits
        self.asked: dict[str, object] = {}

    def search(self, text: str, vector: np.ndarray | None, **options: object) -> list[Hit]:
        self.asked = {"text": text, "vector": vector, **options}
        return list(self.hits)


scores = st.floats(0, 60)
cosines = st.floats(-1, 1)
shares = st.floats(0, 1)
some_hits = st.lists(st.builds(lambda w, v, c: (w, v, c), scores, cosines, shares), max_size=12)


@given(some_hits)
def test_fused_scores_are_ordered_and_between_0_and_1(values: list[tuple]) -> None:
    hits = [hit(str(i), words=w, vector=v, coverage=c) for i, (w, v, c) in enumerate(values)]
    fused = fuse(hits)
    assert sorted(names(fused)) == sorted(names(hits))
    assert all(0 <= found.score <= 1 for found in fused)
    assert [h.score for h in fused] == sorted((h.score for h in fused), reverse=True)


@given(some_hits, st.randoms())
def test_the_order_in_which_the_index_found_them_does_not_matter(values, random) -> None:
    hits = [hit(str(i), words=w, vector=v, coverage=0.5) for i, (w, v, _) in enumerate(values)]
    shuffled = random.sample(hits, len(hits))
    assert names(fuse(hits)) == names(fuse(shuffled))


def test_a_hit_that_both_legs_put_first_is_first_with_a_high_score() -> None:
    fused = fuse(
        [
            hit("second", words=4, vector=0.5, coverage=0.3),
            hit("first", words=8, vector=0.9, coverage=0.7),
            hit("third", words=2, vector=0.1, coverage=0.1),
        ]
    )
    assert names(fused) == ["first", "second", "third"]


def test_words_decide_when_their_best_hit_covers_the_question() -> None:
    matching = hit("matching", words=12, vector=0.4, coverage=0.9)
    near = hit("near", words=3, vector=0.7, coverage=0.2)
    assert names(fuse([near, matching])) == ["matching", "near"]


def test_vectors_decide_when_the_words_leg_covers_next_to_nothing() -> None:
    stray = hit("stray", words=2, vector=0.1, coverage=0.03)
    near = hit("near", vector=0.7)
    assert names(fuse([stray, near])) == ["near", "stray"]


def test_vectors_alone_rank_when_no_word_was_found() -> None:
    assert names(fuse([hit("far", vector=0.1), hit("near", vector=0.6)])) == ["near", "far"]


def test_words_matched_in_part_still_count_when_vectors_cannot_tell() -> None:
    misspelt = hit("misspelt", words=5, vector=0.3)
    assert names(fuse([hit("other", vector=0.3), misspelt])) == ["misspelt", "other"]


def test_nothing_found_is_an_empty_list() -> None:
    assert fuse([]) == []
    assert retrieve(Index(), Encoder(), "anything") == []


def test_the_index_is_asked_for_more_than_is_returned() -> None:
    index = Index(*(hit(f"{i:02}", words=i, coverage=0.5) for i in range(30)))
    encoder = Encoder()
    found = retrieve(index, encoder, "question", k=4, where="page=1")
    assert names(found) == ["29", "28", "27", "26"]
    assert encoder.questions == ["question"]
    assert index.asked["text"] == "question"
    assert index.asked["k"] == CANDIDATES
    assert (index.asked["mode"], index.asked["where"]) == ("hybrid", "page=1")


def test_as_many_as_are_wanted_are_asked_for() -> None:
    index = Index()
    retrieve(index, Encoder(), "question", k=500)
    assert index.asked["k"] == 500


def test_words_are_searched_without_encoding_the_question() -> None:
    index, encoder = Index(hit("a")), Encoder()
    retrieve(index, encoder, "question", mode="words")
    assert encoder.questions == []
    assert index.asked["vector"] is None


@pytest.mark.parametrize(("mode", "high"), [("words", 14.0), ("vector", 0.8)])
def test_a_single_leg_keeps_its_order_and_gets_scores_up_to_1(mode: str, high: float) -> None:
    hits = [Hit(Chunk(n, 0, 1, n), s) for n, s in (("a", high), ("b", high / 2), ("c", 0.0))]
    found = retrieve(Index(*hits), Encoder(), "question", mode=mode)
    assert names(found) == ["a", "b", "c"]
    assert found[0].score == pytest.approx(min(1.0, high))
    assert found[1].score == pytest.approx(found[0].score / 2)


def test_a_reranker_sees_all_candidates_and_has_the_last_word() -> None:
    index = Index(*(hit(f"{i:02}", words=30 - i) for i in range(20)))
    seen: list[int] = []

    def backwards(question: str, hits: Sequence[Hit]) -> Sequence[Hit]:
        seen.append(len(hits))
        return hits[::-1]

    assert names(retrieve(index, Encoder(), "q", k=2, rerank=backwards)) == ["19", "18"]
    assert seen == [20]


def test_vectors_of_a_bag_of_tokens_weigh_less_than_those_of_any_other_encoder() -> None:
    both = (hit("words", words=9, vector=0.3, coverage=0.6), hit("near", words=2, vector=0.9))
    bag = StaticEncoder.load()
    assert names(retrieve(Index(*both), bag, "question")) == ["words", "near"]
    assert names(retrieve(Index(*both), Encoder(), "question")) == ["near", "words"]
