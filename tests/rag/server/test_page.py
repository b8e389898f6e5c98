"""The page in a real browser, on a real server with the sample documents and the built-in model.

Every test also fails when the page logs an error, breaks its own policy, or asks another machine.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ingest.web import serving as the_web
from tests.rag.server.test_serving import CODE, serving

pytestmark = pytest.mark.slow

LIBRARY = Path(__file__).resolve().parents[3] / "examples/documents"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FIRST_LOAD = 300_000  # bytes
TYPEWRITER = "Who patented the typewriter in 1868?"
KIOSKS = "Wann dürfen Kioske an Sonn- und Feiertagen Zeitungen verkaufen?"
ARABIC = "أين أضع ملف CODE_OF_CONDUCT؟"
JAPANESE = "昭和八年三月三日の早朝に太平洋岸を襲ったものは何ですか？"
HOSTILE = """<script>document.title = "owned"</script><img src=x onerror='document.title="owned"'>
The harbour master of Quuxhaven is called <b>Bilbo</b> Zwiebel. [x](javascript:alert(1))
"""


@pytest.fixture(scope="module")
def chromium():
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"there is no browser here: none of {', '.join(BROWSERS)}")
    with sync.sync_playwright() as playwright:
        options = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("page")
    shutil.copytree(LIBRARY, home / "library")
    (home / "library/empty.txt").touch()
    (home / "more").mkdir()
    (home / "more/ferry.txt").write_text("The ferry to Quuxland leaves at 6:45 every morning.")
    subprocess.run([sys.executable, "-c", CODE, "index", "library"], cwd=home, check=True)
    return home


@pytest.fixture(scope="module")
def url(home):
    with serving("--root", "more", cwd=home) as (_, url):
        yield url


@pytest.fixture
def visit(chromium):
    """Opens an address as a visitor; what goes wrong on the page fails the test at its end."""
    contexts, faults = [], []

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # which Chromium says of streams read to the end
            faults.append(f"failed: {request.url}, {request.failure}")

    def asked(request, own):
        if not request.url.startswith((own, "data:image/png")):
            faults.append(f"foreign: {request.url[:80]}")

    def open_page(address, *, failing=False, watch=None, **options):
        own = "/".join(address.split("/")[:3]) + "/"
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        if not failing:
            page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
            page.on("requestfailed", failed)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: asked(request, own))
        if watch is not None:
            page.on("response", watch)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def ask(page, question):
    """The turn that answers a question."""
    page.fill("#question", question)
    page.press("#question", "Enter")
    turn = page.locator(".turn").last
    turn.locator(".read, .about, .problem").first.wait_for()
    return turn


def opened(page):
    """The body of the source, once it is shown."""
    page.locator("#viewer-body[data-view]").wait_for()
    page.locator("#viewer-body .text, #viewer-body img").first.wait_for(state="attached")
    page.wait_for_timeout(200)  # for the scrolling
    return page.locator("#viewer-body")


def in_view(page, locator):
    """Whether an element can be seen in the source's pane."""
    pane, box = page.locator("#viewer-body").bounding_box(), locator.bounding_box()
    return pane["y"] <= box["y"] and box["y"] + box["height"] <= pane["y"] + pane["height"]


def test_a_citation_opens_its_pdf_at_the_page_with_the_quote_highlighted(visit, url):
    page = visit(url)
    turn = ask(page, KIOSKS)
    assert "von 11 bis 13 Uhr" in turn.inner_text()
    turn.locator(".mark").first.click()
    body = opened(page)
    assert page.inner_text("#viewer-number") == "Page 2 of 10"
    marks = body.locator("rect.quoted")
    assert marks.count() >= 1
    assert in_view(page, marks.first)
    text = body.locator("figcaption mark")  # what a screen reader has
    assert "von 11 bis 13 Uhr" in " ".join(text.all_text_contents())
    page.click("#viewer-as-text")
    page.locator("#viewer-body[data-view=text]").wait_for()
    assert in_view(page, body.locator("mark").first)
    page.click("#viewer-on")
    page.locator("#viewer-number:has-text('Page 3 of 10')").wait_for()
    page.fill("#viewer-page", "7")
    page.press("#viewer-page", "Enter")
    page.locator("#viewer-number:has-text('Page 7 of 10')").wait_for()
    page.click("#viewer-to-quote")
    page.locator("#viewer-number:has-text('Page 2 of 10')").wait_for()


def test_a_question_goes_on_from_those_before_it(visit, url):
    page = visit(url)
    ask(page, KIOSKS)
    with page.expect_request("**/v1/ask") as sent:
        turn = ask(page, "Und warum?")
    one, two = sent.value.post_data_json["history"]
    assert one == {"role": "user", "content": KIOSKS}
    assert two["role"] == "assistant"
    assert "shop-closing-law" in turn.inner_text()


def test_what_the_documents_do_not_say_is_said_with_the_nearest_passages(visit, url):
    page = visit(url)
    turn = ask(page, "In which year was the Eiffel Tower completed?")
    assert "do not contain the answer" in turn.inner_text()
    nearest = turn.locator(".label + .sources button")
    assert 1 <= nearest.count() <= 3
    nearest.first.click()
    assert opened(page).locator("mark, rect.quoted").count()


@pytest.mark.parametrize(
    ("question", "found", "direction"),
    [(ARABIC, "في المجلد الرئيسي لمشروعك", "rtl"), (JAPANESE, "津浪が襲来", "ltr")],
)
def test_other_scripts_run_in_their_own_direction(visit, url, question, found, direction):
    page = visit(url)
    turn = ask(page, question)
    assert turn.locator(".question").evaluate("e => getComputedStyle(e).direction") == direction
    sentence = turn.locator(".said p").first
    assert found in sentence.inner_text()
    assert sentence.evaluate("e => getComputedStyle(e).direction") == direction
    turn.locator(".mark").first.click()
    mark = opened(page).locator("mark").first
    assert found in mark.text_content()
    assert mark.evaluate("e => getComputedStyle(e).direction") == direction
    assert in_view(page, mark)


def test_enter_that_ends_a_word_of_japanese_does_not_ask(visit, url):
    page = visit(url)
    page.fill("#question", "津波")
    composing = """field => field.dispatchEvent(new KeyboardEvent(
        "keydown", {key: "Enter", isComposing: true, bubbles: true, cancelable: true}))"""
    page.locator("#question").evaluate(composing)
    page.press("#question", "Shift+Enter")
    assert page.locator(".turn").count() == 0
    assert page.input_value("#question") == "津波\n"


def test_all_of_it_works_with_the_keyboard_alone(visit, url):
    page = visit(url)
    page.locator("#form:not([hidden])").wait_for()
    page.keyboard.type(TYPEWRITER)  # the field has the focus
    page.keyboard.press("Enter")
    page.locator(".turn .read").wait_for()

    def focused():
        return page.evaluate("document.activeElement.className || document.activeElement.id")

    def tab_to(wanted, key):
        for _ in range(25):
            if focused() == wanted:
                return
            page.keyboard.press(key)
        raise AssertionError(f"no way to {wanted}, only to {focused()}")

    tab_to("mark", "Shift+Tab")
    page.keyboard.press("Enter")
    opened(page)
    assert page.evaluate("document.activeElement.closest('dialog').id") == "viewer"
    page.keyboard.press("ArrowRight")
    page.locator("#viewer-number:has-text('Page 2 of 5')").wait_for()
    tab_to("sheet", "Tab")
    page.keyboard.press("Escape")
    page.locator("#viewer").wait_for(state="hidden")
    assert focused() == "mark"
    page.keyboard.press("/")
    assert focused() == "question"
    assert page.input_value("#question") == ""
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert focused() == "filter-source"


def test_a_file_that_is_sent_is_indexed_listed_and_quoted(visit, url, tmp_path):
    note = tmp_path / "Ünïcode <b>note.txt"
    note.write_text("The lighthouse keeper of Quuxmouth is Ada Brimble.")
    (tmp_path / "nothing.txt").touch()
    page = visit(f"{url}/#documents", failing=True)  # the empty file is refused
    page.set_input_files("#files", [note, tmp_path / "nothing.txt"])
    job = page.locator("#job")
    job.locator("text=Done: 1 added").wait_for()
    assert "nothing.txt is empty" in job.inner_text()
    page.fill("#find", "ünïcode")
    row = page.locator("#documents li")
    row.wait_for()
    assert row.count() == 1
    assert row.locator("b").count() == 0
    row.get_by_text("Ask only this").click()
    assert "Only" in page.inner_text("#filters-label")
    turn = ask(page, "Who is the lighthouse keeper of Quuxmouth?")
    assert "Ada Brimble" in turn.inner_text()
    assert len(set(turn.locator(".name").all_text_contents())) == 1  # nothing else was read


def test_a_folder_of_the_roots_is_indexed(visit, url, home):
    page = visit(f"{url}/#documents")
    page.click("#folder")
    page.locator("#folders-path", has_text="more").wait_for()
    page.click("#folders-take")
    page.locator("#job", has_text=re.compile("Done: 1 (added|unchanged)")).wait_for()
    page.get_by_text("ferry.txt").first.wait_for()
    gaps = page.locator("#gap-list")
    assert "empty.txt" in gaps.inner_text()


def test_nothing_of_a_document_is_read_as_html(visit, url, tmp_path):
    evil = tmp_path / "<img src=x onerror=alert(1)>.txt"
    evil.write_text(HOSTILE)
    page = visit(f"{url}/#documents", failing=True)  # the attempt below is logged as an error
    page.set_input_files("#files", [evil])
    page.locator("#job >> text=Done").wait_for()
    page.click("#to-ask")
    turn = ask(page, "Who is the harbour master of Quuxhaven?")
    assert "<b>Bilbo</b>" in turn.inner_text()
    turn.locator(".mark, .source").first.click()
    body = opened(page)
    assert "<script>" in body.inner_text()
    assert (
        page.locator("main img, main b, main script, .text script, .text b, .text a").count() == 0
    )
    assert page.title() == "ragbone"
    attempt = "try { document.body.innerHTML = '<i>x</i>'; return false } catch { return true }"
    assert page.evaluate(f"(() => {{ {attempt} }})()")  # is refused by the page's own policy


def test_pages_of_the_web_doubts_conflicts_and_notes_are_shown(visit, url):
    web = {"source": "https://example.org/a", "url": "https://example.org/a", "date": "2024-05-06"}
    place = {"page": None, "heading": None, "start": 0, "end": 9, "score": 0.5}
    passages = [
        {**web, **place, "text": "It costs 5 €."},
        {"source": "b.txt", **place, "text": "It costs 7 €."},
        {"source": "javascript:alert(1)", "url": "javascript:alert(1)", **place, "text": "No."},
    ]
    answer = {
        "question": "x", "answered": True, "text": "It costs 5 €.", "reason": None, "model": "m",
        "citations": [{"number": 1, "quote": "It costs 5 €.", **web, **place}],
        "passages": passages, "conflicts": [{"passages": [1, 2]}],
        "notes": ["the search engine did not answer"], "timings": {"total": 1.0},
        "sentences": [
            {"text": "It costs 5 €.", "citations": [1], "supported": True, "doubt": None},
            {"text": "It is cheap.", "citations": [1], "supported": False, "doubt": "not said"},
            {"text": "Buy it.", "citations": [], "supported": False, "doubt": None},
        ],
    }  # fmt: skip
    page = visit(url, failing=True)
    stream = f"event: answer\ndata: {json.dumps(answer)}\n\n"
    page.route("**/v1/ask", lambda r: r.fulfill(body=stream, content_type="text/event-stream"))
    turn = ask(page, "What does it cost?")
    told = turn.inner_text()
    for words in ("the search engine did not answer", "not said", "disagree", "2024-05-06"):
        assert words in told
    assert "Buy it." in turn.locator(".left-out").inner_text()
    assert turn.locator(".sides li").count() == 2
    links = turn.locator("a").evaluate_all("all => all.map(a => [a.href, a.rel])")
    assert {href for href, _ in links} == {"https://example.org/a"}
    assert {rel for _, rel in links} == {"noopener noreferrer"}
    turn.locator(".mark").first.click()
    assert "It costs 5 €." in opened(page).inner_text()
    assert "not in the index" in page.inner_text("#viewer-note")


def test_the_web_can_be_searched_where_the_server_may(visit, url, home):
    page = visit(url)
    page.locator("#form:not([hidden])").wait_for()
    assert not page.is_visible("#web-switch")
    with the_web() as web, serving("--web", "--searxng", web.url("/"), cwd=home) as (_, searching):
        web.pages["/search"] = (403, {}, b"")
        page = visit(searching)
        page.click("#web-switch")
        assert page.is_checked("#web")
        turn = ask(page, TYPEWRITER)
        assert [path.partition("?")[0] for path, _ in web.asked] == ["/search"]
    assert "1868" in turn.inner_text()
    assert "the web could not be searched" in turn.inner_text()


def test_a_filter_limits_what_is_read_until_it_is_cleared(visit, url):
    page = visit(url)
    page.click("#filters-toggle")
    page.fill("#filter-source", "planets")
    page.keyboard.press("Escape")
    turn = ask(page, TYPEWRITER)
    names = turn.locator(".name").all_text_contents()
    assert names
    assert all("planets" in name for name in names)
    page.click("#filters-clear")
    assert page.inner_text("#filters-label") == "Filter"
    assert "Sholes" in ask(page, TYPEWRITER).inner_text()


def test_the_first_load_is_small_and_from_here_only(visit, url):
    sizes = []
    page = visit(url, watch=lambda reply: sizes.append((reply.url, len(reply.body()))))
    page.locator("#form:not([hidden])").wait_for()
    page.wait_for_load_state("networkidle")
    assert {address.split("/")[2] for address, _ in sizes} == {url.split("/")[2]}
    assert 20_000 < sum(size for _, size in sizes) < FIRST_LOAD


def test_dark_mode_follows_the_system_until_it_is_chosen_and_is_remembered(visit, url):
    page = visit(url, color_scheme="dark")
    color = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(color)
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    page.click("#theme")
    light = page.evaluate(color)
    assert light != dark
    page.reload()
    assert page.evaluate(color) == light


def test_on_a_phone_nothing_overflows_and_the_source_covers_the_page(visit, url):
    page = visit(url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    wide = "document.documentElement.scrollWidth"
    turn = ask(page, TYPEWRITER)
    assert page.evaluate(wide) == 360
    turn.locator(".mark").first.click()
    opened(page)
    assert page.locator("#viewer").bounding_box()["width"] == 360
    assert in_view(page, page.locator("rect.quoted").first)
    page.go_back()  # closes the source, and nothing else
    page.locator("#viewer").wait_for(state="hidden")
    assert page.locator(".turn").count() == 1
    page.click("#to-documents")
    page.locator("#documents li").first.wait_for()
    assert page.evaluate(wide) == 360


def test_a_server_with_a_token_asks_for_it_and_keeps_it_in_the_tab_only(visit, home):
    with serving("--token", "s3cret-ä", "--index", ".rag", cwd=home) as (_, url):
        page = visit(url, failing=True)
        page.locator("#token[open]").wait_for()
        page.fill("#token-value", "wrong")
        page.keyboard.press("Enter")
        page.locator("#token-wrong:visible").wait_for()
        page.fill("#token-value", "s3cret-ä")
        page.keyboard.press("Enter")
        assert "Sholes" in ask(page, TYPEWRITER).inner_text()
        assert "s3cret" not in json.dumps(page.evaluate("({...localStorage})")) + page.url
        page.reload()
        page.locator("#form:not([hidden])").wait_for()
        other = visit(url, failing=True)
        other.locator("#token[open]").wait_for()


def test_a_server_that_is_gone_is_said_and_the_question_can_be_asked_again(visit, home):
    with serving(cwd=home) as (process, url):
        page = visit(url, failing=True)
        page.locator("#form:not([hidden])").wait_for()
        process.kill()
        process.wait()
        turn = ask(page, TYPEWRITER)
        assert "cannot be reached" in turn.inner_text()
        assert "rag serve" in page.inner_text("#gone")
    port = url.rpartition(":")[2]
    with serving("--port", port, cwd=home):
        page.locator("#gone").wait_for(state="hidden")
        turn.get_by_text("Ask again").click()
        page.locator(".turn .read").wait_for()
        assert "Sholes" in page.locator(".turn").last.inner_text()


def test_without_an_index_and_with_an_empty_one_it_says_what_to_do(visit, tmp_path):
    with serving(cwd=tmp_path) as (_, url):
        page = visit(url)
        page.locator("#welcome h1").wait_for()
        assert "rag serve --root" in page.inner_text("#welcome")
        assert not page.locator("#form").is_visible()
    with serving("--root", ".", cwd=tmp_path) as (_, url):
        page = visit(url)
        page.get_by_text("Add documents").click()
        page.set_input_files("#files", [LIBRARY / "word-processors.en.pdf"])
        page.locator("#job >> text=Done: 1 added").wait_for()
        page.click("#to-ask")
        assert "Sholes" in ask(page, TYPEWRITER).inner_text()


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The script of axe-core, from npm."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed, and axe-core comes from there")
    folder = tmp_path_factory.mktemp("axe")
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent", "axe-core@4"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"axe-core cannot be installed: {(done.stderr or done.stdout)[-300:]}")
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_serious_problem(visit, url, axe, scheme, width):
    page = visit(url, color_scheme=scheme, viewport={"width": width, "height": 800})
    found = []

    def look(where):
        page.evaluate(axe)
        result = page.evaluate("axe.run()")
        found.extend(
            (where, v["id"], v["impact"], [n["target"] for n in v["nodes"]][:3])
            for v in result["violations"]
            if v["impact"] in ("serious", "critical")
        )

    page.locator("#form:not([hidden])").wait_for()
    look("empty")
    turn = ask(page, TYPEWRITER)
    ask(page, "In which year was the Eiffel Tower completed?")
    page.click("#filters-toggle")
    look("answers")
    turn.locator(".read summary").first.click()
    page.locator(".turn").first.locator(".mark").click()
    opened(page)
    look("source")
    page.click("#viewer-as-text")
    page.locator(".text:visible mark").first.wait_for()
    look("source as text")
    page.click("#viewer-close")
    page.locator("#viewer").wait_for(state="hidden")
    page.click("#to-documents")
    page.locator("#documents li").first.wait_for()
    look("documents")
    page.click("#folder")
    page.locator("#folders-list li").first.wait_for()
    look("folders")
    assert not found
