"""Who may talk to the server: not a web page, not a stranger, not under another name."""

import pytest

from rag.errors import RagError
from rag.server.app import create_app
from rag.server.guard import HEADERS, Door
from rag.server.serve import door_for
from rag.server.site import Site
from tests.fakes import FakeEncoder
from tests.rag.server.client import Client, FakeBackbone, serving

ASK = {"model": "tiny", "messages": [{"role": "user", "content": "x"}]}
CHAT = "/v1/chat/completions"
TOKEN = "s3cret-ä"


def behind(door):
    return Client(
        create_app(Site(FakeBackbone(), name="tiny", encoder=FakeEncoder(), rag=None), door=door)
    )


@pytest.fixture(scope="module")
def locked():
    return behind(door_for("0.0.0.0", token=TOKEN, names=["rag.example"]))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:9", "LOCALHOST:80"])
def test_a_local_server_answers_under_local_names(host):
    assert serving().post(CHAT, ASK, headers={"host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "",
        "[",
        "10.0.0.1",
        "@localhost:x",
    ],
)
def test_a_name_that_someone_pointed_here_is_refused(host):
    model = FakeBackbone()
    reply = serving(model).post(CHAT, ASK, headers={"host": host})
    assert (reply.status, reply.error["code"]) == (403, "wrong_host")
    assert not model.asked


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8001"},
        {"origin": "file://"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/v1/models", "/metrics"])
def test_a_page_of_another_origin_is_refused(headers, path):
    method, body = ("POST", ASK) if path == CHAT else ("GET", None)
    reply = serving().request(method, path, body, headers=headers)
    assert (reply.status, reply.error["code"]) == (403, "wrong_origin")
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_a_page_of_our_own_may_ask():
    own = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    assert serving().post(CHAT, ASK, headers=own).status == 200


def test_browsers_are_not_told_that_others_may_ask():
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    reply = serving().request("OPTIONS", CHAT, headers=headers)
    assert reply.status == 403
    assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_what_a_form_can_send_is_refused(kind):
    model = FakeBackbone()
    reply = serving(model).post(CHAT, ASK, headers={"content-type": kind})
    assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")
    assert not model.asked


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/nothing"])
def test_every_reply_keeps_browsers_careful(path):
    reply = serving().get(path)
    assert HEADERS.items() <= reply.headers.items()


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", "Bearer s3cret-"]
)
@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/openapi.json", "/nothing"])
def test_without_the_token_nothing_is_told(locked, given, path):
    headers = {} if given is None else {"authorization": given}
    reply = locked.get(path, headers={"host": "10.0.0.1:8000", **headers})
    assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
    assert reply.headers["www-authenticate"] == "Bearer"


def test_with_the_token_all_is_open(locked):
    for scheme in ("Bearer", "bearer"):
        headers = {"host": "10.0.0.1:8000", "authorization": f"{scheme} {TOKEN}"}
        assert locked.get("/v1/models", headers=headers).status == 200


def test_health_needs_no_token(locked):
    assert locked.get("/health", headers={"host": "10.0.0.1"}).json == {"status": "ok"}


@pytest.mark.parametrize(
    ("host", "status"), [("rag.example", 200), ("[2001:db8::1]:80", 200), ("evil.example", 403)]
)
def test_a_server_for_everyone_answers_under_addresses_and_the_names_it_was_given(
    locked, host, status
):
    assert locked.get("/health", headers={"host": host}).status == status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "my-machine"])
def test_other_addresses_than_the_machines_own_take_a_token(host):
    with pytest.raises(RagError, match="RAG_TOKEN"):
        door_for(host, token=None)
    with pytest.raises(RagError, match="RAG_TOKEN"):
        door_for(host, token="")
    assert door_for(host, token="x").token == "x"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.9"])
def test_the_machines_own_addresses_need_none(host):
    assert door_for(host, token=None) == Door(door_for(host, token=None).hosts)
