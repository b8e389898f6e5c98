"""Search engines: what leaves the machine, what comes back, and what is said when nothing does."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from ddgs.engines import ENGINES

from rag.errors import WebError
from rag.web import Ddgs, SearXNG, WebResult
from tests.ingest.web import serving

PAGE = """<html><body>{}</body></html>"""
RESULT = (
    '<div class="result results_links web-result"><div class="links_main links_deep result__body">'
    '<h2><a href="{url}">{title}</a></h2><a href="{url}">{text}</a></div></div>'
)


@pytest.fixture(scope="module")
def web():
    with serving() as web:
        yield web


def reply(web, results, **more):
    body = json.dumps({"results": results, **more}).encode()
    web.pages["/searx/search"] = (200, {"Content-Type": "application/json"}, body)


@pytest.mark.parametrize("end", ["", "/", "/search"])
def test_searxng_is_asked_for_json_and_nothing_else_is_said(web, end):
    rows = [
        {"url": "https://a.example/1", "title": "One", "content": "First"},
        {"url": "ftp://a.example/2", "title": "Two", "content": ""},
        {"url": "https://a.example/3", "title": None},
        {"url": "https://a.example/4"},
    ]
    reply(web, rows)
    found = SearXNG(web.url("/searx" + end)).search("ferry & bay? 渡し船", limit=2)
    assert found == [
        WebResult("https://a.example/1", "One", "First"),
        WebResult("https://a.example/3"),
    ]
    path, headers = web.asked[-1]
    assert parse_qs(urlsplit(path).query) == {"q": ["ferry & bay? 渡し船"], "format": ["json"]}
    assert not {"Cookie", "Referer", "Authorization"} & {*headers}


def test_a_long_question_is_cut_to_a_search(web):
    reply(web, [{"url": "https://a.example/"}])
    SearXNG(web.url("/searx")).search("word " * 1000, limit=1)
    assert len(parse_qs(urlsplit(web.asked[-1][0]).query)["q"][0]) <= 400


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((403, {}, b""), "must allow `json` under search.formats"),
        ((500, {}, b""), "the server answered 500"),
        ((200, {"Content-Type": "text/html"}, b"<html>"), "gave no JSON"),
        ((200, {"Content-Type": "application/json"}, b"[]"), "gave no JSON"),
        (
            (
                200,
                {"Content-Type": "application/json"},
                b'{"results": [], "unresponsive_engines": [["google", "timeout"]]}',
            ),
            "google",
        ),
    ],
)
def test_a_searxng_server_that_gives_nothing_says_why(web, answer, said):
    web.pages["/searx/search"] = answer
    with pytest.raises(WebError, match=said):
        SearXNG(web.url("/searx")).search("ferry", limit=3)


def test_no_results_are_an_empty_list(web):
    reply(web, [])
    assert SearXNG(web.url("/searx")).search("ferry", limit=3) == []


@pytest.mark.parametrize(
    "address",
    ["", "searx.example", "file:///etc", "https://", "http://[::1", "http://searx.example:25"],
)
def test_what_is_no_address_is_refused_at_once(address):
    with pytest.raises(WebError, match="address of a SearXNG server"):
        SearXNG(address)


def test_an_address_with_a_password_is_refused_and_not_repeated():
    with pytest.raises(WebError) as refused:
        SearXNG("https://me:secret@searx.example/")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("body", ['{"results": [{"url": 5}, 7]}', "[" * 100_000, '{"results": 1}'])
def test_a_reply_that_is_none_is_said(web, body):
    web.pages["/odd/search"] = (200, {"Content-Type": "application/json"}, body.encode())
    with pytest.raises(WebError, match="gave no JSON"):
        SearXNG(web.url("/odd")).search("ferry", limit=3)


def test_a_redirect_of_the_server_leads_to_no_other_port_of_its_host(web):
    with serving() as other:
        other.html("/search", "secret")
        web.moved("/moved/search", other.url("/search"))
        with pytest.raises(WebError, match="not a public address"):
            SearXNG(web.url("/moved")).search("ferry", limit=3)
        assert other.asked == []


def test_an_engine_that_nobody_knows_is_refused_since_all_others_would_be_asked(duck):
    with pytest.raises(WebError, match="ddgs has no engine duckduckog; it has"):
        Ddgs(backend="duckduckgo, duckduckog").search("ferry", limit=3)


@pytest.fixture
def duck(web, monkeypatch):
    """DuckDuckGo's own client, asking a server on this machine."""
    monkeypatch.setattr(ENGINES["text"]["duckduckgo"], "search_url", web.url("/html/"))
    asked = []

    def take(request):
        length = int(request.headers.get("Content-Length") or 0)
        asked.append(request.rfile.read(length).decode())
        return web.pages["/html/answer"]

    web.pages["/html/"] = take
    return asked


def test_ddgs_gives_the_pages_of_duckduckgo(web, duck):
    rows = [
        RESULT.format(url=f"https://b.example/{n}", title=f"T{n}", text=f"S{n}") for n in range(5)
    ]
    body = PAGE.format("".join(rows)).encode()
    web.pages["/html/answer"] = (200, {"Content-Type": "text/html"}, body)
    found = Ddgs().search("ferry times", limit=3)
    assert [r.url for r in found] == [f"https://b.example/{n}" for n in range(3)]
    assert (found[0].title, found[0].snippet) == ("T0", "S0")
    assert "ferry" in duck[0]


@pytest.mark.parametrize("status", [200, 202, 429, 500])
def test_ddgs_without_results_says_what_may_be_the_matter(web, duck, status):
    web.pages["/html/answer"] = (status, {"Content-Type": "text/html"}, PAGE.format("").encode())
    with pytest.raises(WebError, match=r"duckduckgo gave no results: there may be none"):
        Ddgs().search("ferry times", limit=3)
