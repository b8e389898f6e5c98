"""Files of every format to documents, and what is said of those that give none."""

import time
import unicodedata

import formats
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.document import Document
from ingest.errors import ExtractError, PasswordNeeded
from ingest.extract import extract
from ingest.office import refusal
from ingest.worker import Workers


@pytest.fixture(scope="module")
def workers():
    with Workers() as shared:
        yield shared


@pytest.fixture
def read(workers):
    """The one document in a file."""

    def one(name: str, data: bytes | str, **options) -> Document:
        payload = data.encode() if isinstance(data, str) else data
        (document,) = extract(payload, name=name, workers=workers, **options)
        check(document)
        return document

    return one


def check(document: Document) -> None:
    """What holds for every document."""
    assert unicodedata.is_normalized("NFC", document.text)
    assert all(h.text.split()[0] in document.text[h.start :][:200] for h in document.headings)
    assert [h.start for h in document.headings] == sorted(h.start for h in document.headings)
    assert document.text.count("\f") == max(0, len(document.pages) - 1)
    assert all(document.text[page - 1] == "\f" for page in document.pages[1:])
    assert len(document.digest) == 64


def outline(document: Document) -> list[tuple[int, str]]:
    return [(heading.level, heading.text) for heading in document.headings]


def test_plain_text_is_kept_as_it_is(read):
    document = read("notes/a.txt", "First line\r\n  indented\n\n* not \\* Markdown\n")
    assert document.text == "First line\n  indented\n\n* not \\* Markdown\n"
    assert (document.source, document.media_type) == ("notes/a.txt", "text/plain")
    assert (document.title, document.pages, document.headings) == (None, (), ())


def test_the_digest_is_that_of_the_bytes(read):
    assert read("a.txt", "abc").digest.startswith("ba7816bf8f01cfea")


def test_pdf_pages_are_joined_by_form_feeds_of_our_own(read):
    document = read("a.pdf", formats.pdf(["The first page.", "", "The third page."]))
    assert document.text == "The first page.\f\fThe third page."
    assert document.pages == (0, 16, 17)
    assert document.page_at(document.text.index("third")) == 3


def test_an_encrypted_pdf_asks_for_its_password_and_opens_with_it(read, workers):
    locked = formats.pdf(["The secret."], password="sesame")
    with pytest.raises(PasswordNeeded, match="--password"):
        read("a.pdf", locked)
    with pytest.raises(PasswordNeeded):
        read("a.pdf", locked, passwords=["wrong"])
    assert read("a.pdf", locked, passwords=["wrong", "sesame"]).text == "The secret."


def test_a_scan_is_told_from_an_empty_page(read):
    with pytest.raises(ExtractError, match=r"no text layer \(a scan\?\); OCR is not built in"):
        read("a.pdf", formats.pdf(["", ""], picture=True))
    with pytest.raises(ExtractError, match="no text in it"):
        read("a.pdf", formats.pdf([""]))


def test_a_pdf_with_bytes_before_its_head_or_a_broken_table_is_read(read):
    good = formats.pdf(["Still readable."])
    assert read("a.pdf", b"\n" * 900 + good).text == "Still readable."
    assert read("a.pdf", good.replace(b"startxref", b"startxxxx")).text == "Still readable."


def test_a_file_in_a_pdf_is_a_document_of_its_own(workers):
    data = formats.pdf(["Outer text."], attached=("note.md", b"# Inner"))
    outer, inner = extract(data, name="a.pdf", workers=workers)
    assert (outer.source, inner.source) == ("a.pdf", "a.pdf!note.md")
    assert (inner.text, inner.media_type) == ("# Inner", "text/markdown")
    assert inner.digest == outer.digest  # of the file on disk: the version of both


def test_word_headings_text_and_tables_come_without_markdown_escapes(read):
    data = formats.docx(
        [(1, "Report"), (0, "Costs rose 5 * 3 = 15 [sic]. 1. snake_case!"), (2, "Details")],
        [["Name", "Born"], ["Ada", "1815"]],
    )
    document = read("a.docx", data)
    assert outline(document) == [(1, "Report"), (2, "Details")]
    assert "Costs rose 5 * 3 = 15 [sic]. 1. snake_case!" in document.text
    assert "| Name | Born |\n| --- | --- |\n| Ada | 1815 |" in document.text
    start = document.headings[1].start
    assert document.text[start:].startswith("Details\n\n")


def test_a_long_table_is_written_row_by_row_with_its_header(read):
    rows = [["Name", "Born"], *([f"Person {n}", str(n)] for n in range(200))]
    text = read("a.docx", formats.docx([(0, "People")], rows)).text
    assert "Name: Person 7; Born: 7\nName: Person 8; Born: 8\n" in text


def test_slides_are_headings(read):
    document = read("a.pptx", formats.pptx([("Hello", "World"), ("Second", "More text")]))
    assert outline(document) == [(1, "Slide 1: Hello"), (1, "Slide 2: Second")]
    assert document.heading_at(document.text.index("More")) == "Slide 2: Second"


def test_sheets_are_headings_and_rows_can_be_read_alone(read):
    sheets = {"People": [["name", "born"], ["Ada", 1815], ["Alan", 1912]], "Towns": [["Paris"]]}
    document = read("a.xlsx", formats.xlsx(sheets))
    assert [text for _, text in outline(document)] == ["People", "Towns"]
    assert "name: Ada; born: 1815\nname: Alan; born: 1912" in document.text


def test_books_and_open_documents_are_read(read):
    book = read("a.epub", formats.epub({"One": "First chapter.", "Two": "Second chapter."}))
    assert (book.title, [text for _, text in outline(book)]) == ("A book", ["One", "Two"])
    assert read("a.odt", formats.odt(["Hello", "World"])).text == "Hello\n\nWorld"
    rtf = read("a.rtf", r"{\rtf1\ansi\pard A {\b bold} word.\par}")
    assert rtf.text == "A bold word."


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("page.txt", b"<!DOCTYPE html><p>Hi</p>", "text/html"),
        ("page.pdf", b"<html><p>Hi</p></html>", "text/html"),
        ("letter.doc", formats.docx([(0, "Hi")]), "officedocument.wordprocessingml"),
        ("report.txt", formats.pdf(["Hi"]), "application/pdf"),
        ("README", b"Hi", "text/plain"),
        ("feed", b"<?xml version='1.0'?><a><b>Hi</b></a>", "application/xml"),
        ("mail.txt", b"MIME-Version: 1.0\nSubject: Hi\n\nHi\n", "message/rfc822"),
        ("talk.txt", b"WEBVTT\n\n00:01.000 --> 00:02.000\nHi\n", "text/vtt"),
        ("code.py", b"# <html>\nHi = 1\n", "text/x-py"),
    ],
)
def test_names_lie_and_bytes_do_not(read, name, data, kind):
    document = read(name, data)
    assert kind in document.media_type
    assert "Hi" in document.text


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt", b"", "empty"),
        ("a.pdf", b"", "empty"),
        ("a.txt", b" \n\n ", "no text in it"),
        ("a.bin", bytes(range(256)) * 4, "not a text or a known document format"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0", "an image; OCR is not built in"),
        ("a.docx", formats.docx([(0, "x")])[:300], "damaged or incomplete"),
        ("a.zip", formats.zipped({"a.txt": "x"})[:20], "damaged or incomplete archive"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "not a text or a known"),
        ("a.pages", formats.zipped({"Index/Document.iwa": b"\0"}), "Apple iWork"),
        ("a.pdf", b"%PDF-1.7 nothing", "damaged or incomplete"),
        ("a.txt", b"-----BEGIN PGP MESSAGE-----\n\nhQEM\n", "encrypted with PGP"),
        ("a.epub", formats.zipped({"mimetype": "application/epub+zip"}), "damaged or incomplete"),
    ],
)
def test_what_cannot_be_read_has_a_reason(read, name, data, reason):
    with pytest.raises(ExtractError, match=reason):
        read(name, data)


def test_an_encrypted_office_file_says_what_to_do(read):
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500
    with pytest.raises(PasswordNeeded, match="save a copy without the password"):
        read("a.xlsx", head + "EncryptedPackage".encode("utf-16-le"))


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Parsing error: file is password-protected", PasswordNeeded),
        ("Parsing error: ZIP error: no EOCD", ExtractError),
    ],
)
def test_a_parsers_own_words_become_a_reason(words, kind):
    error = refusal(words)
    assert type(error) is kind
    assert "Parsing error" not in str(error)


def test_a_document_that_unpacks_a_thousandfold_is_refused(read):
    with pytest.raises(ExtractError, match="decompression bomb"):
        read("a.docx", formats.docx([(0, "x" * 3_000_000)]))


def test_an_outside_entity_is_not_fetched(read):
    page = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><b>Before &x; after</b></a>'
    assert "root:" not in read("a.xml", f"<?xml version='1.0'?>{page}").text


def test_entities_that_multiply_are_not_expanded(read):
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 7))
    bomb = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "lol">{entities}]><a>&e6;</a>'
    assert len(read("a.xml", bomb).text) < 10_000


class TestTables:
    def test_each_row_of_a_csv_file_names_its_columns(self, read):
        text = read("a.csv", "name,born,city\nAda,1815,London\nAlan,1912,\n").text
        assert text == "name: Ada; born: 1815; city: London\nname: Alan; born: 1912"

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_the_delimiter_is_found(self, read, delimiter):
        rows = [["name", "note"], ["Ada", "one; two, three"], ["Alan", "four"]]
        lines = [delimiter.join(f'"{cell}"' for cell in row) for row in rows]
        text = read("a.csv", "\n".join(lines)).text
        assert text == "name: Ada; note: one; two, three\nname: Alan; note: four"

    def test_line_ends_of_three_kinds_and_quoted_ones_are_read(self, read):
        text = read("a.csv", b'a,b\r\nx,"two\nlines"\ry,z\n').text
        assert text == "a: x; b: two lines\na: y; b: z"

    def test_titles_above_the_header_stay(self, read):
        text = read("a.tsv", "Population\n\ncity\tpeople\nParis\t2100000\n").text
        assert text == "Population\ncity: Paris; people: 2100000"

    def test_numbers_are_no_header_but_years_are(self, read):
        assert read("a.csv", "1,2\n3,4\n").text == "1 | 2\n3 | 4"
        text = read("a.csv", "region,2019,2020\nNorth,5.1,6.2\n").text
        assert text == "region: North; 2019: 5.1; 2020: 6.2"

    def test_a_header_printed_again_is_left_out_and_a_new_one_taken(self, read):
        text = read("a.csv", "k,v\na,1\nk,v\nb,2\ncolour,size\nred,3\n").text
        assert text == "k: a; v: 1\nk: b; v: 2\ncolour: red; size: 3"

    def test_a_header_between_words_is_left_out_too(self, read):
        text = read("a.csv", "Topic,Period\nRevenue,Quarter\nTopic,Period\nChurn,Year\n").text
        assert text == "Topic: Revenue; Period: Quarter\nTopic: Churn; Period: Year"

    def test_a_cell_too_long_for_a_table_leaves_the_text(self, read):
        text = "a,b\n" + "x" * 200_000
        assert read("a.csv", text).text == text


class TestMarkdown:
    def test_front_matter_gives_the_title_and_headings_are_exact(self, read):
        document = read(
            "a.md", "---\ntitle: Caf&eacute;\n---\n# One\n\ntext\n\nTwo\n---\n\n## Three ##\n"
        )
        assert document.title == "Café"
        assert outline(document) == [(1, "One"), (2, "Two"), (2, "Three")]
        assert [document.text[h.start :].split("\n")[0] for h in document.headings] == [
            "# One",
            "Two",
            "## Three ##",
        ]

    def test_escapes_and_entities_are_undone_but_not_in_code(self, read):
        text = read(
            "a.md", "Hello\\! 1\\. C&amp;A `a\\*b &amp;`\n\n```\nx\\_y &amp; # no\n```\n"
        ).text
        assert text == "Hello! 1. C&A `a\\*b &amp;`\n\n```\nx\\_y &amp; # no\n```\n"

    def test_comments_and_tags_are_not_shown(self, read):
        text = read("a.md", 'Seen <!-- hidden\norder --> <b class="x">bold</b> <T> a < b\n').text
        assert text == "Seen  bold <T> a < b\n"

    def test_a_comment_in_code_stays(self, read):
        text = "```html\n<!-- kept --><b>\n```\n"
        assert read("a.md", text).text == text

    def test_a_hash_in_code_is_no_heading(self, read):
        document = read("a.md", "# Yes\n\n~~~sh\n# no\n~~~\n\n#no\n\n####### no\n\n| a |\n---\n")
        assert outline(document) == [(1, "Yes")]

    def test_markup_in_a_heading_is_not_in_its_words(self, read):
        assert outline(read("a.md", "## The `x_y` **bold** [link](http://a.b)\n")) == [
            (2, "The x_y bold link")
        ]

    def test_other_markup_languages_have_headings_too(self, read):
        rst = read("a.rst", "=====\nTitle\n=====\n\nPart\n----\n\ntext\n\nNext\n----\n")
        assert outline(rst) == [(1, "Title"), (2, "Part"), (2, "Next")]
        assert outline(read("a.org", "* One\n** Two\ntext *bold*\n")) == [(1, "One"), (2, "Two")]
        tex = read("a.tex", "\\section{One}\ntext\n\\subsection*{Two}\n")
        assert outline(tex) == [(2, "One"), (3, "Two")]


class TestDataAndSubtitles:
    def test_readable_json_is_kept_and_minified_json_is_written_out(self, read):
        kept = '{\n  "a": [1, 2.50]\n}'
        assert read("a.json", kept).text == kept
        records = ",".join(f'{{"id":{n},"name":"caf\\u00e9 {n}"}}' for n in range(50))
        text = read("a.json", f"[{records}]").text
        assert '{"id": 7, "name": "café 7"},\n{"id": 8, "name": "café 8"}' in text

    def test_json_in_one_line_is_written_out_unless_more_than_spaces_would_change(self, read):
        text = read("a.json", '{"server": {"port": 8080, "name": "a  b"}, "on": true}\n').text
        assert text.splitlines() == [
            *("{", ' "server": {', '  "port": 8080,', '  "name": "a  b"', " },", ' "on": true', "}")
        ]
        people = '[{"name": "Bo", "age": 41}, {"name": "Al", "age": 38}]'
        assert read("a.json", people).text.splitlines()[2] == '{"name": "Al", "age": 38}'
        for kept in ('{"price": 2.50, "unit": "kg"}', '{"a": 1, "a": 2}', '{"a": ', "[[" * 1000):
            assert read("b.json", kept).text == kept

    def test_json_lines_and_broken_json_are_text(self, read):
        assert read("a.jsonl", '{"a": "\\u00e9"}\n{"b": 2}\n').text == '{"a": "é"}\n{"b": 2}\n'
        assert read("a.json", '{"a": "\\u00e9", ').text == '{"a": "\\u00e9", '

    def test_deep_json_is_text(self, read):
        assert read("a.json", '["\\u00e9",' + "[" * 100_000).text.startswith('["')

    def test_a_notebook_is_its_text_code_and_output(self, read):
        document = read(
            "a.ipynb",
            '{"cells": [{"cell_type": "markdown", "source": ["# Title\\n", "Some *text*."]},'
            '{"cell_type": "code", "source": "print(6 * 7)", "outputs":'
            '[{"output_type": "stream", "text": ["42\\n"]}]}], "nbformat": 4}',
        )
        assert document.text == "Title\n\nSome *text*.\n\nprint(6 * 7)\n\n42"
        assert (document.title, outline(document)) == ("Title", [(1, "Title")])

    def test_subtitles_are_what_is_said_with_the_time(self, read):
        srt = "1\n00:00:01,500 --> 00:00:03,000\nHello <i>there</i>,\nworld.\n\n"
        srt += (
            "2\n00:00:04,000 --> 00:00:05,000\nMore.\n\n3\n01:00:31,000 --> 01:00:33,000\nLate.\n"
        )
        assert read("a.srt", srt).text == "[00:00:01] Hello there, world. More.\n\n[01:00:31] Late."

    def test_subtitles_say_who_speaks_once(self, read):
        vtt = "WEBVTT\n\nNOTE x\n\n00:01.000 --> 00:02.000\n<v Ann>Hi &amp; bye\n\n"
        vtt += "00:03.000 --> 00:04.000\n<v Ann>again\n\n00:05.000 --> 00:06.000\n<v Bob>Yes.\n"
        assert read("a.vtt", vtt).text == "[00:00:01] Ann: Hi & bye again\n\n[00:00:05] Bob: Yes."

    def test_source_code_is_kept_as_it_is(self, read):
        code = "def f():\n    return '\\*'  # <!-- kept -->\n"
        document = read("a.py", code)
        assert (document.text, document.media_type) == (code, "text/x-py")


@settings(max_examples=40, deadline=None)
@given(
    st.binary(min_size=1, max_size=300), st.sampled_from(["md", "csv", "json", "srt", "txt", "rst"])
)
def test_no_bytes_under_a_text_name_do_more_than_be_refused(data, suffix):
    try:
        documents = extract(data, name=f"a.{suffix}")
    except ExtractError:
        return
    for document in documents:
        check(document)


HOSTILE = {
    "comments": "<!--" * 100_000,
    "backticks": "`` ``` ` " * 80_000,
    "brackets": "[" * 400_000,
    "fences": "```\n" * 50_000,
    "entities": "&" * 400_000,
    "escapes": "\\" * 400_000,
    "spaces in a heading": "# " + " " * 400_000 + "x",
    "tags": "<b " * 100_000,
    "underlines": "a\n---\n" * 30_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_markdown_takes_time_in_proportion_to_its_length(text):
    started = time.process_time()
    extract(text.encode(), name="a.md")
    assert time.process_time() - started < 6  # a quadratic search would take minutes
