"""Pages of the web as documents: their main text, under their URL, kept in step like files."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from ingest.addresses import Addresses
from ingest.errors import ExtractError
from ingest.fetch import Fetcher, Page
from ingest.hypertext import read_page as main_text
from ingest.index import LocalIndex
from ingest.sync import sync
from ingest.webpage import read_page
from ingest.worker import Workers
from tests.fakes import FakeEncoder
from tests.ingest.web import serving

URL = "https://site.example/dir/page?id=1"
ARTICLE = """<html><head><title>Ferries</title><meta name="date" content="2024-03-05"></head>
<body class="has-sidebar nav-open"><header><h2>Site name</h2></header><nav>Home News</nav>
<div id="cookie-banner">We use cookies.</div><div class="layout"><div class="main-menu">Menu</div>
<article class="share"><header><h1>The ferry</h1></header><p>The ferry leaves at 6:45.</p>
<aside class="related-links">Also read this.</aside><h2>Prices</h2><p>A ticket is 3 crowns.</p>
</article>
<div class="related-posts">Other ferries</div><div role="complementary">Advert</div></div>
<footer>Imprint</footer></body></html>"""


@pytest.fixture(scope="module")
def workers():
    with Workers() as workers:
        yield workers


@pytest.fixture(scope="module")
def web():
    with serving() as web:
        yield web


def page(data: bytes, kind: str = "text/html", url: str = URL) -> Page:
    return Page(url, data, kind, "2026-01-02T03:04:05+00:00", url)


def test_only_the_main_text_is_read():
    assert main_text(ARTICLE).text == (
        "The ferry\n\nThe ferry leaves at 6:45.\n\nPrices\n\nA ticket is 3 crowns."
    )
    assert [h.text for h in main_text(ARTICLE).headings] == ["The ferry", "Prices"]


@pytest.mark.parametrize(
    "named", ["class='sharepoint'", "class='headline'", "id='administration'", "class='no-nav'"]
)
def test_words_that_only_look_like_it_hide_nothing(named):
    assert main_text(f"<body><div {named}>The text.</div></body>").text == "The text."


P = "The ferry across the bay leaves the northern pier at a quarter to seven every morning."
POPUP = f"<div class='popup'><p>{'We value your privacy. ' * 100}</p></div>"
LAYOUTS = {  # pages that look like those of well-known programs
    "wrapped": "<div class='content-sidebar-wrap'><main><p>{}</main><aside>A</aside></div>",
    "read the docs": "<section class='wy-nav-content-wrap'><div role='main'><p>{}</div></section>",
    "modified": "<div class='layout--has-sidebar'><div class='body--with-promo'><p>{}</div></div>",
    "beside a consent": f"<main><p>{{}}</main><div class='qc-cmp2-container'>{POPUP}</div>",
    "beside a dialog": f"<article><p>{{}}</article><div role='dialog'>{POPUP}</div>",
    "by property": "<div><ul class='menu'><li>A</ul><div itemprop='articleBody'>{}</div></div>",
    "below teasers": "<article>A</article><article>B</article><div class='text'><p>{}</div>",
    "by scripts": "<div id='app'></div><noscript><div><p>{}</div></noscript>",
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_main_text_is_found_in_known_layouts(layout):
    around = (
        "<nav>Home</nav><div id='cookieBanner'>Cookies!</div><div class='rst-versions'>v1</div>"
    )
    found = main_text(f"<body>{around}{layout.format(P)}<footer>Imprint</footer></body>").text
    assert P in found
    assert not any(word in found for word in ("Home", "Cookies!", "v1", "Imprint", "privacy"))


@pytest.mark.parametrize(
    "named",
    str.split(
        "related-work cookies define_cookies share-price menu-item menu-section ad-hoc"
        " social-science sharing-data footer-notes newsletter-issue recommended-dose"
        " informed-consent hide-sidebar"
    ),
)
def test_sections_that_are_about_such_things_are_read(named):
    pages = [
        f"<p>{P}<section id='{named}'><h2>That</h2><p>It is read.</section>",
        f"<p>{P}<h2 id='{named}'>That</h2><p>It is read.",
    ]
    if named != "cookies":
        pages.append(f"<p>{P}<h2>That</h2><div class='{named} a'>It is read.</div>")
    for content in map(main_text, pages):
        assert "It is read." in content.text
        assert [h.text for h in content.headings] == ["That"]


@pytest.mark.parametrize(
    "named",
    str.split(
        "cookie-banner leftNav site-navigation skip-link share-buttons related-posts widget-area"
        " onetrust-consent-sdk breadcrumbs social-links newsletter-signup footer-widgets"
    ),
)
def test_what_is_named_so_is_left_out(named):
    assert main_text(f"<p>{P}<div class='x {named}'>Not it.</div>").text == P


def test_where_all_seems_to_stand_around_the_page_is_read_whole():
    text = main_text(f"<body><div class='sidebar'>{'All of the text. ' * 20}</div></body>").text
    assert text.startswith("All of the text.")


def test_a_page_is_a_document_under_its_url_with_both_dates(workers):
    document = read_page(page(ARTICLE.encode()), workers)
    assert (document.source, document.title) == (URL, "Ferries")
    assert (document.date, document.retrieved) == ("2024-03-05", "2026-01-02T03:04:05+00:00")
    assert document.media_type == "text/html"


@pytest.mark.parametrize(
    ("kind", "url", "read_as", "text"),
    [
        ("text/markdown", URL, "text/markdown", "# Ferry\n\nAt 6:45."),
        ("text/plain", "https://x.example/a.md?raw=1", "text/markdown", "# Ferry\n\nAt 6:45."),
        ("text/plain", URL, "text/plain", "# Ferry\n\nAt 6:45."),
        ("text/html", "https://x.example/README.md", "text/html", "<p># Ferry\n\nAt 6:45."),
    ],
)
def test_the_server_says_what_it_is_and_else_the_name(workers, kind, url, read_as, text):
    document = read_page(page(text.encode(), kind, url), workers)
    assert (document.media_type, document.source) == (read_as, url)
    assert "At 6:45." in document.text


def test_a_feed_from_the_web_is_its_articles(run, web):
    feed = b"<rss><channel><title>News</title><item><title>Ferry</title></item></channel></rss>"
    web.pages["/feed"] = (200, {"Content-Type": "application/rss+xml"}, feed)
    index, report = run(web.url("/feed"))
    assert report.added == (web.url("/feed"),)
    assert index.text(web.url("/feed")) == "News\n\nFerry"


def test_a_pdf_from_the_web_is_a_pdf(workers):
    from pathlib import Path

    sample = Path(__file__).parents[2] / "examples/documents/word-processors.en.pdf"
    document = read_page(page(sample.read_bytes(), "application/pdf"), workers)
    assert (document.source, len(document.pages) > 1) == (URL, True)


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/pdf"])
def test_an_archive_under_another_name_is_not_opened(workers, kind):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "words")
    for data in (packed.getvalue(), gzip.compress(b"words")):
        with pytest.raises(ExtractError, match="an archive"):
            read_page(page(data, kind), workers)


def test_a_page_that_scripts_write_says_so(workers):
    with pytest.raises(ExtractError, match="written by scripts"):
        read_page(page(b"<html><body><div id=root></div><script>run()</script>"), workers)


@pytest.fixture
def run(tmp_path, web):
    """Syncs an index with pages and files; gives the index too."""
    index = LocalIndex.open(tmp_path / ".rag", encoder=FakeEncoder())
    fetcher = Fetcher(addresses=Addresses(frozenset({web.host})))

    def run(*roots, **options):
        return index, sync(
            index, roots, encoder=FakeEncoder(), home=tmp_path, fetcher=fetcher, **options
        )

    yield run
    index.close()


def test_a_page_is_indexed_and_read_again_only_when_it_has_changed(run, web):
    url = web.html("/ferry", ARTICLE)
    index, report = run(url + "#top")
    assert report.added == (url,)
    [hit] = index.search("ferry 6:45", None, k=1, mode="words")
    assert (hit.chunk.url, hit.chunk.date) == (url, "2024-03-05")
    assert hit.chunk.retrieved
    assert index.text(url)[hit.chunk.start : hit.chunk.end] == hit.chunk.text
    _, report = run(url)
    assert (report.unchanged, report.chunks) == (1, 0)
    web.html("/ferry", ARTICLE.replace("6:45", "7:15"))
    _, report = run(url)
    assert report.updated == (url,)
    assert "7:15" in index.text(url)


def test_a_page_that_is_gone_stays_and_is_listed(run, web):
    url = web.html("/gone", "<p>The ferry leaves at 6:45.")
    index, _ = run(url)
    del web.pages["/gone"]
    _, report = run(url, prune=True)
    assert [(s.source, s.reason) for s in report.skipped] == [(url, "the server answered 404")]
    assert report.removed == ()
    assert "6:45" in index.text(url)


def test_pages_and_files_go_together_and_pruning_a_folder_takes_no_page(run, web, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.txt").write_text("A file.")
    url = web.html("/both", "<p>A page.")
    _, report = run(folder, url, "http://10.0.0.1/", "ftp://x.example/")
    assert set(report.added) == {"docs/a.txt", url}
    refused, other = report.skipped
    assert "ftp://x.example/" in (refused.source, other.source)
    assert "10.0.0.1 is 10.0.0.1, which is not a public address" in refused.reason + other.reason
    (folder / "a.txt").unlink()
    index, report = run(folder, prune=True)
    assert report.removed == ("docs/a.txt",)
    assert [d.source for d in index.documents()] == [url]
    assert index.remove([url]) == [url]
