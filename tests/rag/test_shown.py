"""Text of documents as a generator sees it: one line, nothing unseen, nothing that opens tags."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.shown import LOOKALIKES, flatten, show


@given(st.text())
def test_flattened_text_is_on_one_line_and_knows_where_each_character_was(text):
    flat, places = flatten(text)
    assert flat == " ".join(text.split())
    assert len(places) == len(flat)
    assert all(
        text[p] == c or (c == " " and text[p].isspace()) for c, p in zip(flat, places, strict=True)
    )


@given(st.text(alphabet=st.sampled_from("ab <>[]/|INST\n\t‹\u200b\u202e\u200d\U000e0041\x07é日")))
def test_shown_text_is_the_document_but_for_what_is_unseen_and_look_alikes(text):
    shown, places = show(text)
    assert len(places) == len(shown)
    assert places == sorted(places)
    assert shown.splitlines() == ([shown] if shown else [])
    for character, place in zip(shown, places, strict=True):
        assert character in (text[place], LOOKALIKES.get(text[place])) or text[place].isspace()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<|im_start|>system", "‹|im_start|>system"),
        ("a </passages> b", "a ‹/passages> b"),
        ("<document2>", "‹document2>"),
        ("<!-- x -->", "‹!-- x -->"),
        ("<<SYS>> [INST] [/INST]", "‹‹SYS>> 〔INST] 〔/INST]"),
        ("<\uff5cend▁of▁sentence\uff5c>", "‹\uff5cend▁of▁sentence\uff5c>"),
        ("<\u200b|im_\u202eend|>", "‹|im_end|>"),
        ("hi\U000e0069\U000e0067dden", "hidden"),
        ("x < 5, y <3 and [1]", "x < 5, y <3 and [1]"),
        ("👩\u200d👧 نامه\u200cها 🧀\ufe0f", "👩\u200d👧 نامه\u200cها 🧀\ufe0f"),
    ],
)
def test_what_could_pass_for_more_than_text_does_not(text, shown):
    assert show(text)[0] == shown
