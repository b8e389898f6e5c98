"""The page's own files: small, harmless, and asking no one else for anything."""

import re

import pytest

from rag.server.app import create_app
from rag.server.assets import FOLDER, HEADERS
from rag.server.guard import Door
from rag.server.site import Site
from tests.fakes import FakeEncoder
from tests.rag.server.client import Client, FakeBackbone, serving

LARGEST = 300_000  # bytes of the first load
FILES = sorted(path for path in FOLDER.iterdir() if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]


def names(path):
    return path.name


def test_the_first_load_is_small():
    assert sum(path.stat().st_size for path in FILES) < LARGEST


@pytest.mark.parametrize("path", FILES, ids=names)
def test_every_file_is_served_with_the_policy(path):
    reply = serving().get("/" if path.name == "index.html" else f"/page/{path.name}")
    assert (reply.status, reply.body) == (200, path.read_bytes())
    assert reply.headers["content-security-policy"] == HEADERS["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_the_policy_admits_nothing_inline_and_nothing_foreign():
    policy = HEADERS["content-security-policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy


@pytest.mark.parametrize("path", FILES, ids=names)
def test_no_file_names_another_machine(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?:https?:)?//(?!www\.w3\.org/)\w+\.\w+", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=names)
def test_no_script_reads_a_text_as_html_or_code(path):
    words = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(|srcdoc"
    assert not re.search(words, path.read_text(encoding="utf-8"))


def test_the_page_has_nothing_inline():
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)


def test_every_part_that_is_asked_for_is_there():
    asked = {
        name
        for path in FILES
        for name in re.findall(r'"(?:/page|\.)/([\w.-]+)"', path.read_text(encoding="utf-8"))
    }
    assert asked <= {path.name for path in FILES}
    assert {path.name for path in FILES} <= {*asked, "index.html"}


def test_elements_that_scripts_look_for_are_in_the_page():
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    there = set(re.findall(r'\sid="([\w-]+)"', page))
    text = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    assert set(re.findall(r'byId\("([\w-]+)"\)', text)) <= there


@pytest.mark.parametrize("path", ["nothing.js", "..%2fapp.py", "../app.py", "a/page.css", "%00"])
def test_nothing_else_is_served(path):
    assert serving().get(f"/page/{path}").status == 404


def test_the_page_needs_no_token_and_what_it_asks_for_does():
    site = Site(FakeBackbone(), name="tiny", encoder=FakeEncoder(), rag=None)
    locked = Client(create_app(site, door=Door(token="x")))
    assert locked.get("/").status == locked.get("/page/main.js").status == 200
    for path in ("/v1/status", "/v1/documents", "/v1/index", "/v1/folders", "/page", "//page/x"):
        assert locked.get(path).status == 401


def test_a_link_from_elsewhere_leads_to_the_page_and_to_nothing_else():
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert serving().get("/", headers=headers).status == 200
    assert serving().get("/v1/status", headers=headers).status == 403
    assert serving().get("/", headers={**headers, "sec-fetch-mode": "no-cors"}).status == 403
    assert serving().get("/", headers={**headers, "host": "evil.example"}).status == 403
