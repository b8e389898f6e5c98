"""The report: one file, nothing from outside, whatever is in the documents and questions."""

import os
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from rag.compare import compare
from rag.evaluation import Evaluation, Facts, Part, Result
from rag.report import declining_curve, report
from rag.testset import Case

HOSTILE = """</style></title><script>document.title="owned"</script><img src=x onerror=alert(1)>
" onfocus="alert(1)" ' javascript:alert(1) <!-- \x1b[2J \u202e ]]> &amp; &#60;"""
FACTS = Facts("0.1", "2026-01-01", "a processor", "builtin", "builtin", 6, 3, 2, 40)
VOID = {"meta", "circle", "line", "rect", "polyline", "img", "br"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Page(HTMLParser):
    """The tags of a page; they must nest."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.attributes, self.texts = [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def result(number, *, right=1.0, confidence=None, answerable=True, **values):
    case = Case(f"q{number}", f"question {number}?", answerable, ("yes",), ("a.pdf",), line=number)
    part = Part("a.pdf", 3, "Heading", 5, 9, "the text", True)
    return Result(
        case,
        {"right": right, **values},
        answered=True,
        text="said so",
        confidence=confidence,
        passages=(part,),
        citations=(part,),
        seconds={"retrieve": 0.1, "first": 0.2, "total": 0.3},
    )


def run(*results):
    return Evaluation(FACTS, results)


def test_hostile_texts_stay_texts():
    case = Case(
        HOSTILE, HOSTILE, True, (HOSTILE,), (HOSTILE,), quotes=(HOSTILE,), where=HOSTILE, line=1
    )
    part = Part(HOSTILE, 1, HOSTILE, 0, 1, HOSTILE, False)
    hostile = Result(
        case,
        {"right": 0.0, "recall": 0.0},
        answered=True,
        text=HOSTILE,
        reason=HOSTILE,
        passages=(part,),
        citations=(part,),
        seconds={"total": 1.0},
        error=HOSTILE,
    )
    facts = replace(FACTS, model=HOSTILE, encoder=HOSTILE, processor=HOSTILE)
    before = Evaluation(FACTS, (replace(hostile, values={"right": 1.0}),))
    now = Evaluation(facts, (hostile,))
    page = Page(report(now, compare(before, now), name=HOSTILE))
    assert not {"script", "img", "link", "iframe", "a", "object"} & set(page.tags)
    assert page.tags.count("style") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "\x1b" not in "".join(page.texts)
    assert sum('onfocus="alert(1)"' in text for text in page.texts) >= 10


def test_the_page_asks_for_nothing_outside_itself():
    html = report(run(result(1), result(2, right=0.0)))
    names = {name for name, _ in Page(html).attributes}
    assert not names & {"src", "href", "srcset", "action", "xlink:href"}
    assert "default-src 'none'" in html
    assert "url(" not in html
    assert "@import" not in html
    assert "http:" not in html
    assert "https:" not in html


def test_the_worst_questions_come_first_and_open():
    html = report(
        run(
            result(1, ndcg=1.0),
            result(2, right=0.0, ndcg=1.0),
            result(3, right=0.0, ndcg=0.0),
            replace(result(4), error="gone"),
        )
    )
    order = [html.index(f"question {n}?", html.index("<h2>Questions")) for n in (4, 3, 2, 1)]
    assert order == sorted(order)
    assert html.count("<details open>") == 3
    assert "3 questions of 4 went wrong" in html


def test_a_long_set_is_told_in_part_and_says_so():
    html = report(run(*[result(n) for n in range(130)]))
    assert html.count("<details") == 100
    assert "30 more" in html


def test_documents_have_their_own_means():
    one, two = result(1, recall=1.0), result(2, right=0.0, recall=0.0)
    two = replace(two, case=replace(two.case, sources=("b.pdf",)))
    html = report(run(one, two))
    table = html[html.index("Means by the document") :]
    assert table.index("a.pdf") < table.index("1.00") < table.index("b.pdf") < table.index("0.00")


def test_a_page_is_made_of_whatever_was_measured():
    searched = Result(Case("q", "q", True, (), ("a",)), {"recall": 1.0}, seconds={"retrieve": 0.1})
    for some in (run(), run(Result(Case("q", "q", False))), run(searched), run(result(1))):
        html = report(replace(some, complete=False))
        Page(html)
        assert "stopped early" in html


def test_the_declining_curve_rises_from_none_to_all():
    assert not declining_curve([result(1), result(2, answerable=False)])
    assert not declining_curve([result(1, confidence=0.9)])
    results = [result(n, confidence=c) for n, c in enumerate((0.9, 0.6, 0.2))]
    results += [result(9, confidence=0.3, answerable=False)]
    assert declining_curve(results) == [
        (0.0, 0.0), (1 / 3, 0.0), (1 / 3, 1.0), (2 / 3, 1.0), (1.0, 1.0),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_browser_shows_it_without_a_complaint_in_both_schemes(tmp_path):
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"there is no browser here: none of {', '.join(BROWSERS)}")
    results = [result(n, confidence=n / 9, answerable=n > 3, ndcg=0.5) for n in range(9)]
    html = tmp_path / "report.html"
    html.write_text(report(run(*results), name=HOSTILE), encoding="utf-8")
    with sync.sync_playwright() as playwright:
        options = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=options)
        back = set()
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme, viewport={"width": 360, "height": 640})
            told, asked = [], []
            page.on("console", lambda message, told=told: told.append(message.text))
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto(html.as_uri())
            assert page.get_by_role("img").count() == 3
            assert page.get_by_role("table").count() == 3
            assert page.title() != "owned"
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            back.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert (told, asked) == ([], [html.as_uri()])
        assert len(back) == 2
        browser.close()
