"""Dates that files state, in the forms they use, and those that are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.dates import iso_date
from ingest.extract import extract
from tests.ingest.formats import pdf, zipped


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2019-08-23", "2019-08-23"),
        ("2024/3/1", "2024-03-01"),
        ("2019-07", "2019-07-01"),
        ("2019", "2019-01-01"),
        ("2021-11-14T22:00:00Z", "2021-11-14T22:00:00+00:00"),
        ("2023-03-28T17:00:31.998+02:00", "2023-03-28T17:00:31+02:00"),
        ("2024-3-1 9:05:00 +0100", "2024-03-01T09:05:00+01:00"),
        ("2024-03-01 10:00:00 UTC", "2024-03-01T10:00:00+00:00"),
        ("D:20120410143026-07'00'", "2012-04-10T14:30:26-07:00"),
        ("D:20251205094954Z", "2025-12-05T09:49:54+00:00"),
        ("D:20250205211539Z00'00'", "2025-02-05T21:15:39+00:00"),
        ("D:2019", "2019-01-01"),
        ("Tue, 1 Jul 2003 10:52:37 +0200", "2003-07-01T10:52:37+02:00"),
    ],
)
def test_a_date_in_any_usual_form_becomes_iso(written, meant):
    assert iso_date(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        *(None, "", "soon", "12", "2024-13-45", "2017-02-30", "D:20121301", "Mon, 99 Foo 2003"),
        *("1970-01-01T00:00:00Z", "1601-01-01", "0000-00-00", "9999-12-31", "x" * 10_000, "D:"),
        *("99999-01-01", "2024-01-01T99:99", "2024-05-01 10:00 Mars/Olympus", "\u0662\u0660\u0662"),
    ],
)
def test_what_is_no_date_is_passed_over(written):
    assert iso_date(written) is None
    assert iso_date(written, "2020-02-02") == "2020-02-02"


def test_a_date_to_come_is_a_wrong_clock():
    coming = datetime.now(UTC) + timedelta(days=3)
    assert iso_date(coming.isoformat()) is None


def test_front_matter_says_when_markdown_was_written():
    (document,) = extract(b"---\ntitle: Notes\ndate: 2021-05-06\n---\n\nText.\n", name="a.md")
    assert document.date == "2021-05-06"
    (document,) = extract(b"---\ntitle: Notes\n---\n\ndate: 2021-05-06\n", name="a.md")
    assert document.date is None


@pytest.mark.parametrize(
    "head",
    [
        '<meta property="article:published_time" content="2022-01-02">',
        '<meta name="DC.date" content="2022-01-02"><meta name="date" content="2001-01-01">',
        '<meta name="date" content="2022-01-02">',
        '<script type="application/ld+json">{"@type": "Article", "datePublished": "2022-01-02",'
        ' "comment": {"datePublished": "2023-03-03"}}</script>',
        '<meta name="date" content="yesterday"><time datetime="2022-01-02">January</time>',
    ],
)
def test_a_page_says_when_it_was_published(head):
    page = f"<html><head><title>A page</title>{head}</head><body><p>Its words.</p></body></html>"
    (document,) = extract(page.encode(), name="page.html")
    assert document.date == "2022-01-02"


def test_a_mail_and_what_came_with_it_have_its_date():
    mail = (
        b"Subject: Report\nDate: Tue, 1 Jul 2003 10:52:37 +0200\nMIME-Version: 1.0\n"
        b'Content-Type: multipart/mixed; boundary="b"\n\n'
        b"--b\nContent-Type: text/plain\n\nSee the files.\n"
        b'--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename="a.txt"\n\nA.\n'
        b'--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename="b.md"\n\n'
        b"---\ndate: 1999-09-09\n---\nB.\n--b--\n"
    )
    dates = {document.source: document.date for document in extract(mail, name="m.eml")}
    sent = "2003-07-01T10:52:37+02:00"
    assert dates == {"m.eml": sent, "m.eml!a.txt": sent, "m.eml!b.md": "1999-09-09"}


def test_an_office_file_was_written_when_it_was_last_changed():
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    package = "http://schemas.openxmlformats.org/package/2006"
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    core = f"{package}/relationships/metadata/core-properties"
    data = zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{types}"><Default Extension="rels" ContentType='
            '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName='
            f'"/word/document.xml" ContentType="{main}"/><Override PartName="/docProps/core.xml" '
            'ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{package}/relationships">'
            f'<Relationship Id="a" Type="{office}" Target="word/document.xml"/>'
            f'<Relationship Id="b" Type="{core}" Target="docProps/core.xml"/></Relationships>',
            "docProps/core.xml": f'<cp:coreProperties xmlns:cp="{package}/metadata/core-properties"'
            ' xmlns:dcterms="http://purl.org/dc/terms/"><dcterms:created>2020-01-01T00:00:00Z'
            "</dcterms:created><dcterms:modified>2021-02-03T04:05:06Z</dcterms:modified>"
            "</cp:coreProperties>",
            "word/document.xml": f"<w:document {space}><w:body><w:p><w:r><w:t>Words.</w:t></w:r>"
            "</w:p></w:body></w:document>",
        }
    )
    (document,) = extract(data, name="a.docx")
    assert document.date == "2021-02-03T04:05:06+00:00"


def test_a_pdf_was_written_when_it_was_last_changed():
    info = b"3 0 obj\n<< /CreationDate (D:20110101) /ModDate (D:20120410143026-07'00') >>"
    data = pdf(["Words on a page."]).replace(b"3 0 obj\nnull", info)
    data = data.replace(b"/Root 1 0 R", b"/Root 1 0 R /Info 3 0 R")
    (document,) = extract(data, name="a.pdf")
    assert document.date == "2012-04-10T14:30:26-07:00"


forms = st.from_regex(r"D:\d{4,14}[Z+-]\d\d'\d\d'|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}[T ]\d?\d:.{0,12}")


@given(st.text(max_size=40) | forms | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ .{9}"))
def test_whatever_a_file_says_gives_a_date_or_none(text):
    found = iso_date(text)
    if found is not None:
        assert datetime.fromisoformat(found).year > 1
        assert iso_date(found) == found
