"""Fetching from real servers on this machine: what comes, what it may cost, and who is asked."""

from __future__ import annotations

import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from ingest.addresses import Addresses
from ingest.errors import AddressRefused, FetchError
from ingest.fetch import Fetcher, Limits
from tests.ingest.test_addresses import HOSTILE, resolve
from tests.ingest.web import serving


@pytest.fixture(scope="module")
def web():
    with serving() as web:
        yield web


@pytest.fixture
def fetcher(web):
    return Fetcher(addresses=Addresses(frozenset({web.host})), limits=Limits(seconds=10))


def limited(web, **limits):
    return Fetcher(addresses=Addresses(frozenset({web.host})), limits=Limits(**limits))


def test_a_page_comes_with_its_type_and_time(web, fetcher):
    url = web.html("/a?b=c", "<p>Hello.")
    page = fetcher.fetch(url + "#part")
    assert (page.url, page.data, page.media_type) == (url, b"\xef\xbb\xbf<p>Hello.", "text/html")
    assert page.retrieved.startswith("20")
    assert page.retrieved.endswith("+00:00")


def test_nothing_is_told_to_the_server_but_what_is_wanted(web, fetcher, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    fetcher.fetch(web.html("/quiet", "x", Set_Cookie="a=b"))
    fetcher.fetch(web.url("/quiet"))
    path, headers = web.asked[-1]
    assert path == "/quiet"
    assert {*headers} == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
    assert headers["Host"] == web.host


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_redirect_leads_to_a_hostile_address(web, hostile):
    if "\r\n" in hostile:
        return  # no header can say it
    web.pages["/there"] = (302, {"Location": hostile}, b"")
    fetcher = Fetcher(addresses=Addresses(frozenset({web.host}), resolve))
    try:
        hostile.encode("latin-1")
    except UnicodeError:
        return  # no header can say it
    with pytest.raises(AddressRefused):
        fetcher.fetch(web.url("/there"))


def test_redirects_are_followed_and_the_page_keeps_its_name(web, fetcher):
    web.html("/end", "<p>Here.")
    web.moved("/two", web.url("/end"))
    page = fetcher.fetch(web.moved("/one", "two"))
    assert page.data.endswith(b"<p>Here.")
    assert page.url == web.url("/one")


def test_a_redirect_in_raw_letters_is_followed_as_a_browser_does(web, fetcher):
    web.html("/%C3%A4%20b", "<p>Here.")
    assert fetcher.fetch(web.moved("/raw", "/ä b".encode().decode("latin-1"))).data.endswith(
        b"Here."
    )


def test_an_address_that_never_answers_leaves_time_for_the_next(web):
    hosts = frozenset({"two.example"})
    fetcher = Fetcher(
        addresses=Addresses(hosts, lambda *_: ["10.255.255.1", "127.0.0.1"]),
        limits=Limits(seconds=2),
    )
    web.html("/two", "<p>Here.")
    assert fetcher.fetch(f"http://two.example:{web.port}/two").data.endswith(b"Here.")


def test_a_name_that_is_not_looked_up_in_time_is_not_waited_for():
    started = time.monotonic()
    fetcher = Fetcher(
        addresses=Addresses(resolve=lambda *_: time.sleep(5) or []), limits=Limits(seconds=0.3)
    )
    with pytest.raises(FetchError, match=r"longer than 0\.3 seconds"):
        fetcher.fetch("https://slow.example/")
    assert time.monotonic() - started < 3


def test_redirects_end(web, fetcher):
    with pytest.raises(FetchError, match="more than 5 redirects"):
        fetcher.fetch(web.moved("/circle", "/circle"))


def test_a_name_is_looked_up_once_and_the_address_that_was_checked_is_used(monkeypatch):
    """A name server may say a public address first, and a private one to whoever asks again."""
    answers = [["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"]]
    connected = []

    def connect(address, *_, **__):
        connected.append(address)
        raise OSError("no network here")

    monkeypatch.setattr(socket, "create_connection", connect)
    fetcher = Fetcher(addresses=Addresses(resolve=lambda *_: answers.pop(0)))
    with pytest.raises(FetchError, match="no network here"):
        fetcher.fetch("http://changing.example/")
    assert connected == [("93.184.216.34", 80)]
    assert len(answers) == 2


def test_each_redirect_is_looked_up_and_checked_again(web):
    answers = {"first.example": [["127.0.0.1"], ["10.0.0.1"]]}
    allowed = frozenset({f"first.example:{web.port}"})
    fetcher = Fetcher(addresses=Addresses(allowed, lambda host, _: answers[host].pop(0)))
    answers["second.example"] = [["127.0.0.1"]]
    web.moved("/away", f"http://second.example:{web.port}/secret")
    web.html("/secret", "secret")
    asked = len(web.asked)
    with pytest.raises(AddressRefused, match=r"second\.example is 127\.0\.0\.1"):
        fetcher.fetch(f"http://first.example:{web.port}/away")
    assert [path for path, _ in web.asked[asked:]] == ["/away"]


def test_the_certificate_is_checked_for_the_name_and_not_the_address():
    server = socket.create_server(("127.0.0.1", 0))
    heard = []

    def accept():
        connection, _ = server.accept()
        heard.append(connection.recv(4096))
        connection.close()

    threading.Thread(target=accept, daemon=True).start()
    port = server.getsockname()[1]
    addresses = Addresses(frozenset({"named.example"}), lambda *_: ["127.0.0.1"])
    with pytest.raises(FetchError):
        Fetcher(addresses=addresses).fetch(f"https://named.example:{port}/")
    assert b"named.example" in heard[0]  # server name indication
    server.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_what_no_authority_vouches_for_is_refused(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=named.example",
    ]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = socket.create_server(("127.0.0.1", 0))

    def accept():
        connection, _ = server.accept()
        try:
            context.wrap_socket(connection, server_side=True)
        except OSError:
            connection.close()

    threading.Thread(target=accept, daemon=True).start()
    port = server.getsockname()[1]
    addresses = Addresses(frozenset({"named.example"}), lambda *_: ["127.0.0.1"])
    with pytest.raises(FetchError, match="certificate"):
        Fetcher(addresses=addresses).fetch(f"https://named.example:{port}/")
    server.close()


def test_a_page_that_says_it_is_huge_is_not_read(web):
    web.pages["/huge"] = (200, {"Content-Type": "text/html", "Content-Length": "99000000"}, b"x")
    with pytest.raises(FetchError, match="larger than 20 MB"):
        Fetcher(addresses=Addresses(frozenset({web.host}))).fetch(web.url("/huge"))


def test_a_page_that_never_ends_is_left_at_its_limit(web):
    sent = []

    def endless(request):
        request.send_response(200)
        request.send_header("Content-Type", "text/plain")
        request.end_headers()
        while True:
            try:
                request.wfile.write(b"x" * 100_000)
            except OSError:
                return
            sent.append(1)

    web.pages["/endless"] = endless
    with pytest.raises(FetchError, match="larger than 2 MB"):
        limited(web, size=2_000_000).fetch(web.url("/endless"))
    assert len(sent) < 200


PACKED = gzip.compress(b"word " * 5000)


@pytest.mark.parametrize(
    ("packed", "words"),
    [(PACKED, 5000), (PACKED * 2, 10_000), (PACKED + bytes(8), 5000), (b"", 0)],
    ids=["one member", "two", "with padding", "nothing"],
)
def test_a_packed_page_is_unpacked(web, fetcher, packed, words):
    headers = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
    web.pages["/packed"] = (200, headers, packed)
    assert fetcher.fetch(web.url("/packed")).data == b"word " * words


def test_a_packed_page_that_breaks_off_is_not_taken_for_whole(web, fetcher):
    headers = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
    web.pages["/short"] = (200, headers, PACKED[:-9])
    with pytest.raises(FetchError, match="ends too early"):
        fetcher.fetch(web.url("/short"))


def test_a_bomb_is_not_unpacked(web):
    headers = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
    web.pages["/bomb"] = (200, headers, gzip.compress(bytes(50_000_000)))
    with pytest.raises(FetchError, match="larger than 1 MB"):
        limited(web, size=1_000_000).fetch(web.url("/bomb"))


@pytest.mark.parametrize(
    ("coding", "said"), [("gzip", "its gzip is damaged"), ("br", "packed as br")]
)
def test_what_cannot_be_unpacked_is_said(web, fetcher, coding, said):
    headers = {"Content-Type": "text/plain", "Content-Encoding": coding}
    web.pages["/damaged"] = (200, headers, b"no such thing")
    with pytest.raises(FetchError, match=said):
        fetcher.fetch(web.url("/damaged"))


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_server_that_trickles_is_left_after_the_time_for_the_whole_page(web, part):
    def trickle(request):
        if part == "body":
            request.send_response(200)
            request.send_header("Content-Type", "text/plain")
            request.end_headers()
        for letter in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 500:
            try:
                request.wfile.write(bytes([letter]))
                request.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)

    web.pages["/slow"] = trickle
    with pytest.raises(FetchError, match=r"longer than 0\.5 seconds"):
        limited(web, seconds=0.5).fetch(web.url("/slow"))


@pytest.mark.parametrize(
    "kind", ["image/png", "video/mp4", "application/octet-stream", "application/zip", "font/woff2"]
)
def test_what_is_no_text_is_not_read(web, fetcher, kind):
    web.pages["/kind"] = (200, {"Content-Type": kind}, b"x")
    with pytest.raises(FetchError, match=f"it is {kind}, which is not read"):
        fetcher.fetch(web.url("/kind"))


@pytest.mark.parametrize("status", [204, 304, 401, 403, 404, 429, 500, 503])
def test_a_status_that_brings_no_page_is_said(web, fetcher, status):
    web.pages["/status"] = (status, {}, b"")
    with pytest.raises(FetchError, match=f"the server answered {status}"):
        fetcher.fetch(web.url("/status"))


def test_the_encoding_that_the_server_names_counts(web, fetcher):
    headers = {"Content-Type": "text/plain; charset=shift_jis"}
    web.pages["/japanese"] = (200, headers, "津波が来る。".encode("shift_jis"))
    assert fetcher.fetch(web.url("/japanese")).data.decode("utf-8-sig") == "津波が来る。"
    headers = {"Content-Type": "text/plain; charset=utf-16-nonsense"}
    web.pages["/wrong"] = (200, headers, b"plain")
    assert fetcher.fetch(web.url("/wrong")).data == b"plain"


def test_a_server_that_is_not_there_or_speaks_otherwise_is_said(fetcher, web):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    fetcher = Fetcher(addresses=Addresses(frozenset({"127.0.0.1"})))
    with pytest.raises(FetchError, match="could not be fetched"):
        fetcher.fetch(f"http://127.0.0.1:{port}/")
    web.pages["/nonsense"] = lambda request: request.wfile.write(b"220 smtp ready\r\n") and None
    with pytest.raises(FetchError, match="could not be fetched"):
        fetcher.fetch(web.url("/nonsense"))
