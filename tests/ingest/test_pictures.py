"""Pages as pictures: a quote is marked where its ink is, and a hostile page costs itself only."""

import zlib

import formats
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import ExtractError, PasswordNeeded
from ingest.pictures import MOST, WIDTH, draw, find
from ingest.worker import Workers

LINE = "Weights take 2 GB, keys and values 12 KB."


def dark_columns(picture, top, bottom):
    """The columns with ink between two rows of a PNG whose rows are stored as they are."""
    at = picture.png.index(b"IDAT")
    size = int.from_bytes(picture.png[at - 4 : at], "big")
    raw = zlib.decompress(picture.png[at + 4 : at + 4 + size])
    stride = len(raw) // picture.height
    rows = [raw[y * stride + 1 : (y + 1) * stride] for y in range(int(top), int(bottom))]
    step = (stride - 1) // picture.width
    return [x for x in range(picture.width) if any(row[x * step] < 128 for row in rows)]


@pytest.mark.parametrize("turned", [b"", b"/Rotate 90 ", b"/CropBox [50 600 500 750] "])
def test_a_quote_is_marked_where_its_ink_is(turned):
    data = formats.pdf([LINE]).replace(b"/MediaBox", turned + b"/MediaBox")
    whole, part = draw(data, page=1, quote=LINE), draw(data, page=1, quote="2 GB, keys")
    ((x, y, width, height),) = whole.marks
    assert x >= 0 and x + width <= whole.width and y >= 0 and y + height <= whole.height
    if b"Rotate" in turned:
        assert height > width  # the line runs downwards
        return
    ink = dark_columns(whole, y, y + height)
    assert abs(ink[0] - x) < 9 and abs(ink[-1] - (x + width)) < 25  # the full stop has no mark
    ((inner, top, narrow, _),) = part.marks
    assert x < inner and inner + narrow < x + width and top == pytest.approx(y, abs=6)


def test_a_picture_has_the_width_of_a_sharp_page():
    picture = draw(formats.pdf([LINE]), page=1)
    assert picture.png.startswith(b"\x89PNG") and picture.marks == ()
    assert abs(picture.width - WIDTH) <= 1


@pytest.mark.parametrize("box", [b"[0 0 1 99999]", b"[0 0 99999 1]", b"[0 0 99999 9]"])
def test_a_page_of_any_size_makes_a_picture_of_bounded_size(box):
    picture = draw(formats.pdf([LINE]).replace(b"[0 0 612 792]", box), page=1, quote=LINE)
    assert picture.width * picture.height <= MOST * 1.1


def test_a_page_that_is_not_there_and_a_file_that_is_locked_or_broken_are_errors():
    for page in (0, 2):
        with pytest.raises(ExtractError, match="no page"):
            draw(formats.pdf([LINE]), page=page)
    with pytest.raises(PasswordNeeded, match="encrypted"):
        draw(formats.pdf([LINE], password="x"), page=1)
    with pytest.raises(ExtractError, match="cannot be drawn"):
        draw(b"%PDF-1.4\nnothing", page=1)


def test_a_worker_draws_too_and_reads_on():
    with Workers() as workers:
        picture = workers.draw(formats.pdf([LINE, "Two"]), page=1, quote=LINE)
        assert picture == draw(formats.pdf([LINE, "Two"]), page=1, quote=LINE)
        with pytest.raises(PasswordNeeded):
            workers.draw(formats.pdf([LINE], password="x"), page=1)
        assert workers.parse(b"<p>x", media_type="text/html", name="a").text == "x"


def test_a_page_that_takes_too_long_is_given_up():
    squares = b"0 0 500 500 re f " * 1_000_000
    data = formats.pdf([LINE]).replace(b"BT /F1", squares + b"BT /F1")
    with Workers(timeout=0.3) as workers:
        with pytest.raises(ExtractError, match="took longer"):
            workers.draw(data, page=1)
        workers._timeout = 30
        assert workers.draw(formats.pdf([LINE]), page=1)


@pytest.mark.parametrize(
    ("page", "quote", "found"),
    [
        ("The ﬁnal  ofﬁce\nhours", "final office hours", "ﬁnal  ofﬁce\nhours"),
        ("a co-\r\noperation b", "cooperation", "co-\r\noperation"),
        ("“Naïve” – yes", '"Naive" - yes', "Naïve” – yes"),
        ("津浪が 襲来\nして", "津浪が襲来して", "津浪が 襲来\nして"),
        ("مُدوّنة السلوك", "مدونة السلوك", "مُدوّنة السلوك"),
        ("x𝐀y z", "Ay", "𝐀y"),
        ("nothing of it", "something else", None),
        ("anything", "", None),
        ("anything", "…!", None),
    ],
)
def test_quotes_are_found_by_their_letters(page, quote, found):
    spans = find(page, quote)
    assert [page[start:end] for start, end in spans] == ([] if found is None else [found])


def test_of_words_that_are_said_twice_the_nearest_are_meant():
    page = "Total: 5. " + "x " * 50 + "Total: 5."
    assert find(page, "Total: 5", at=0.0)[0][0] == 0
    assert find(page, "Total: 5", at=1.0)[0][0] == page.rindex("Total")


def test_a_quote_that_a_footnote_interrupts_is_found_in_parts():
    first, second = "the weights of the model take two gigabytes", "and its keys a little more"
    page = f"{first} 1 See the appendix for how. {second}"
    spans = find(page, f"{first} {second}")
    marked = {i for a, b in spans for i in range(a, b)}
    assert set(range(len(first))) <= marked
    assert not marked & set(range(page.index("appendix"), page.index("how")))


@given(st.text(max_size=40), st.text(max_size=20), st.text(max_size=40))
def test_a_part_of_a_page_is_always_found_in_it(before, quote, after):
    page = before + quote + after
    for start, end in find(page, quote, at=len(before) / max(1, len(page))):
        assert 0 <= start < end <= len(page)
    if quote.isascii() and quote.isalnum():
        assert find(page, quote)
