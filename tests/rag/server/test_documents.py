"""What the server shows of its documents: texts in lines with the quote marked, pages, gaps."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.document import Document, Heading
from rag import Rag
from rag.ground import NOT_FOUND
from rag.server.views import PART, parts, view
from tests.fakes import FakeEncoder, FakeGenerator, FakeSearch
from tests.ingest.formats import pdf
from tests.rag.server.client import serving

LIBRARY = Path(__file__).resolve().parents[3] / "examples/documents"
PDF = "shop-closing-law.de.pdf"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with an index; `docs` holds a PDF, a mail with an attachment, and an empty file."""
    home = tmp_path_factory.mktemp("home")
    (home / "docs").mkdir()
    for name in (PDF, "code-of-conduct.ar.html", "summer-hours.en.eml"):
        (home / "docs" / name).write_bytes((LIBRARY / name).read_bytes())
    (home / "docs" / "empty.txt").touch()
    return home


@pytest.fixture(scope="module")
def rag(home):
    with Rag.open(home / ".rag", generator=FakeGenerator(), encoder=FakeEncoder()) as rag:
        rag.index([home / "docs"])
        yield rag


def test_the_list_is_that_of_status_with_the_gaps_beside_it(rag):
    reply = serving(rag=rag).get("/v1/documents").json
    assert [each["source"] for each in reply["documents"]] == [d.source for d in rag.documents()]
    assert reply["skipped"] == [{"source": "docs/empty.txt", "reason": "empty"}]


def test_the_status_says_what_there_is_to_ask(rag):
    reply = serving(rag=rag).get("/v1/status").json
    assert reply["index"] == str(rag.folder)
    assert (reply["web"], reply["roots"]) == (False, [])
    assert serving().get("/v1/status").json["index"] is None


def test_the_web_is_searched_only_where_the_server_may(rag):
    reply = serving(rag=rag).post("/v1/ask", {"question": "x", "web": True})
    assert (reply.status, reply.error["param"]) == (400, "web")


def test_a_server_that_may_says_so_and_searches(rag, monkeypatch):
    search = FakeSearch(fails="asleep")
    monkeypatch.setattr(rag, "web", search)
    rag.generator.replies = [NOT_FOUND]
    client = serving(rag=rag)
    assert client.get("/v1/status").json["web"] is True
    reply = client.post("/v1/ask", {"question": "x", "web": True})
    assert reply.json["notes"] == ["the web could not be searched: asleep"]
    assert search.asked == ["x"]


def test_without_an_index_there_are_no_documents():
    for path in ("/v1/documents", "/v1/documents/view?source=x"):
        assert "--index" in serving().get(path).error["message"]


def quoted(reply):
    lines = reply.json["lines"]
    return "".join(p["text"] for line in lines for p in line["pieces"] if p["quoted"])


def test_a_citation_opens_at_its_page_with_the_quote_marked(rag):
    document = rag.document(f"docs/{PDF}")
    start = document.text.index("von 11 bis 13 Uhr")
    place = f"source=docs/{PDF}&start={start}&end={start + 17}"
    reply = serving(rag=rag).get(f"/v1/documents/view?{place}")
    assert reply.json["number"] == document.page_at(start) == 2
    assert (reply.json["count"], reply.json["paged"], reply.json["drawn"]) == (10, True, True)
    assert quoted(reply) == "von 11 bis 13 Uhr"
    picture = serving(rag=rag).get(f"/v1/documents/picture?{place}&number=2").json
    assert base64.b64decode(picture["png"]).startswith(b"\x89PNG")
    ((x, y, width, height),) = picture["marks"]
    assert 0 < x < x + width < picture["width"] and 0 < y < y + height < picture["height"]
    other = serving(rag=rag).get(f"/v1/documents/picture?{place}&number=3").json
    assert other["marks"] == []


def test_words_that_another_page_says_too_are_marked_on_their_own_page_only(rag, home):
    (home / "docs" / "twice.pdf").write_bytes(pdf(["The total is 5.", "The total is 5."]))
    rag.index([home / "docs" / "twice.pdf"])
    start = rag.text("docs/twice.pdf").index("total")
    place = f"source=docs/twice.pdf&start={start}&end={start + 10}"
    client = serving(rag=rag)
    marks = [client.get(f"/v1/documents/picture?{place}&number={n}").json["marks"] for n in (1, 2)]
    rag.remove(["docs/twice.pdf"])
    assert [len(found) for found in marks] == [1, 0]


def test_arabic_and_files_in_mails_are_shown_as_text(rag):
    client = serving(rag=rag)
    for source in ("docs/code-of-conduct.ar.html", "docs/summer-hours.en.eml!boats.csv"):
        text = rag.text(source)
        reply = client.get(f"/v1/documents/view?source={source}&start=5&end=25")
        assert quoted(reply) == text[5:25].replace("\n", "")
        assert not reply.json["drawn"]
        assert client.get(f"/v1/documents/picture?source={source}&number=1").status == 400


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("source=nothing", 404),
        ("source=../../etc/passwd", 404),
        (f"source=docs/{PDF}&number=11", 400),
        (f"source=docs/{PDF}&number=0", 400),
        (f"source=docs/{PDF}&start=-1", 400),
        ("", 400),
    ],
)
def test_what_is_not_there_is_said(rag, query, status):
    reply = serving(rag=rag).get(f"/v1/documents/view?{query}")
    assert reply.status == status
    assert reply.error["message"]


def test_a_file_that_has_changed_or_gone_is_not_drawn(rag, home):
    path = home / "docs" / PDF
    before = path.read_bytes()
    client = serving(rag=rag)
    try:
        path.write_bytes(before + b"\n%")
        reply = client.get(f"/v1/documents/picture?source=docs/{PDF}&number=1")
        assert (reply.status, "has changed" in reply.error["message"]) == (400, True)
        path.unlink()
        reply = client.get(f"/v1/documents/picture?source=docs/{PDF}&number=1")
        assert (reply.status, "no longer" in reply.error["message"]) == (400, True)
    finally:
        path.write_bytes(before)


TEXTS = st.text("ab\n\f c", max_size=60)


@given(TEXTS, st.integers(0, 60), st.integers(0, 60), st.lists(st.integers(0, 60), max_size=4))
def test_lines_are_the_text_and_what_is_marked_is_the_quote(text, start, end, cuts):
    pages = tuple(sorted({0, *(cut for cut in cuts if cut < len(text))})) if cuts else ()
    document = Document("a", text, "", pages=pages)
    for number in range(1, max(1, len(pages)) + 1):
        seen = view(document, number=number, start=start, end=end)
        lines = ["".join(piece for piece, _ in line.pieces) for line in seen.lines]
        assert "\n".join(lines) == text[seen.start : seen.end]
        marked = "".join(piece for line in seen.lines for piece, on in line.pieces if on)
        inside = text[max(start, seen.start) : min(end, seen.end)]
        assert marked == (inside.replace("\n", "") if start < end else "")
    if start < len(text) and pages:
        assert view(document, start=start).number == document.page_at(start)


@given(st.lists(st.integers(1, PART * 2), max_size=12), st.booleans())
def test_long_texts_are_cut_into_parts_at_their_lines(lengths, lined):
    text = ("\n" if lined else " ").join("x" * length for length in lengths)
    starts = parts(text)
    ends = [*starts[1:], len(text)]
    assert starts[0] == 0 and all(a < b for a, b in zip(starts, ends, strict=True) if text)
    assert all(b - a <= PART * 1.5 for a, b in zip(starts, ends, strict=True))


def test_headings_keep_their_depth():
    document = Document(
        "a", "One\nx\nTwo", "", headings=(Heading(0, 1, "One"), Heading(6, 2, "Two"))
    )
    assert [line.level for line in view(document).lines] == [1, 0, 2]
