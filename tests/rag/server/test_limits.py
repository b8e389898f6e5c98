"""What a request may take, and that all it started ends with it."""

import asyncio
import json
import threading

import pytest

from rag.server.app import create_app
from rag.server.limits import Limits
from rag.server.site import Site
from tests.fakes import FakeEncoder
from tests.rag.server.client import Client, FakeBackbone, Reply

CHAT = "/v1/chat/completions"
TIGHT = Limits(body=2000, bodies=5000, reading=0.2, answering=0.3)


def ask(**changes):
    return {"model": "tiny", "messages": [{"role": "user", "content": "x"}], **changes}


@pytest.fixture(scope="module")
def app():
    site = Site(FakeBackbone(), name="tiny", encoder=FakeEncoder(), rag=None)
    made = create_app(site, limits=TIGHT)
    Client(made).get("/v1/models")  # the routes are made ready, so that what follows is quick
    return site, made


@pytest.fixture
def serving(app):
    site, made = app

    def serving(model):
        site.model = model
        return Client(made)

    return serving


def ended(model):
    return all(stream.done for stream in model.streams)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_frees_what_it_asked_for(serving, stream):
    model = FakeBackbone(holding=True)

    async def leave():
        connection = serving(model).connect("POST", CHAT, ask(stream=stream, n=3))
        while len(model.streams) < 3:
            await asyncio.sleep(0.01)
        assert not ended(model)
        connection.leave()
        await asyncio.wait_for(connection.task, 5)

    asyncio.run(leave())
    assert ended(model)


def test_a_client_that_leaves_while_its_prompt_is_read_frees_it_too(serving):
    class Slow(FakeBackbone):
        def submit(self, *args, **kwargs):
            stream = super().submit(*args, **kwargs)
            self.entered.set()
            self.go_on.wait()
            return stream

    model = Slow(holding=True)
    model.entered, model.go_on = threading.Event(), threading.Event()

    async def leave():
        connection = serving(model).connect("POST", CHAT, ask())
        while not model.entered.is_set():
            await asyncio.sleep(0.01)
        connection.leave()
        await asyncio.wait_for(connection.task, 5)
        model.go_on.set()
        while not ended(model):
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(leave(), 5))


def test_a_stream_is_freed_that_no_one_began_to_read(serving):
    model = FakeBackbone(holding=True)

    async def leave_at_once():
        connection = serving(model).connect("POST", CHAT, ask(stream=True))
        connection.leave()
        await asyncio.wait_for(connection.task, 5)
        await asyncio.sleep(0.05)

    asyncio.run(leave_at_once())
    assert ended(model)


def test_what_takes_too_long_is_told_so_and_freed(serving):
    model = FakeBackbone(holding=True)
    reply = serving(model).post(CHAT, ask())
    assert (reply.status, reply.error["code"]) == (504, "time_limit")
    assert reply.headers["x-should-retry"] == "false"
    assert ended(model)


def test_a_stream_that_takes_too_long_ends_with_an_error(serving):
    model = FakeBackbone(holding=True)
    reply = serving(model).post(CHAT, ask(stream=True))
    assert reply.status == 200
    assert reply.events[-1][1]["error"]["code"] == "time_limit"
    assert ended(model)


@pytest.mark.parametrize("size", [2001, 4000, 200_000])
def test_a_body_that_is_too_large_is_refused(serving, size):
    model = FakeBackbone()
    reply = serving(model).post(CHAT, b"x" * size)
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")
    assert not model.asked


def test_a_body_that_says_it_is_huge_is_not_read(serving):
    headers = {"content-length": "999999999999999"}
    assert serving(FakeBackbone()).post(CHAT, ask(), headers=headers).status == 413
    headers = {"content-length": "9" * 5000}
    assert serving(FakeBackbone()).post(CHAT, ask(), headers=headers).status == 413


def test_a_body_that_does_not_come_is_not_waited_for(serving):
    async def stall():
        connection = serving(FakeBackbone()).connect("POST", CHAT, ask(), stalling=True)
        await asyncio.wait_for(connection.task, 5)
        return Reply(connection.sent)

    reply = asyncio.run(stall())
    assert reply.status == 408


def test_all_bodies_together_are_limited_and_given_back(serving):
    model = FakeBackbone(holding=True)
    content = [{"role": "user", "content": "x" * 1500}]

    async def many():
        client = serving(model)
        connections = [client.connect("POST", CHAT, ask(messages=content)) for _ in range(5)]
        await asyncio.gather(*(connection.task for connection in connections))
        return [Reply(connection.sent) for connection in connections]

    statuses = sorted(reply.status for reply in asyncio.run(many()))
    assert statuses == [503, 503, 504, 504, 504] or statuses.count(503) == 2
    assert ended(model)
    assert serving(FakeBackbone()).post(CHAT, ask(messages=content)).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"model": "tiny", "messages": NaN}',
        b"[" * 1500,
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b'"\\ud800"',
        b"1" * 1900,
        json.dumps(ask(n=10**40)).encode(),
        json.dumps(ask()).encode().replace(b'"x"', b'"\\ud800"'),
        json.dumps(ask()).encode().replace(b'"x"', b'"\xed\xa0\x80"'),
        json.dumps(ask(temperature=1)).encode().replace(b": 1}", b": 1e999}"),
        json.dumps(ask(temperature=1)).encode().replace(b": 1}", b": -Infinity}"),
        json.dumps(ask(response_format={"type": "json_object", "schema": {"maximum": 1}}))
        .encode()
        .replace(b": 1}", b": 1e999}"),
    ],
)
def test_what_is_no_sound_json_is_refused(serving, raw):
    model = FakeBackbone()
    reply = serving(model).post(CHAT, raw, headers={"content-type": "application/json"})
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"
    assert not model.asked


def test_errors_do_not_repeat_what_was_sent(serving):
    reply = serving(FakeBackbone()).post(CHAT, ask(**{"k" * 1500: 1}))
    assert reply.status == 400
    assert len(reply.body) < 1000


def test_a_path_that_is_not_there_and_a_method_that_is_not_have_the_envelope(serving):
    client = serving(FakeBackbone())
    assert client.get("/v1/nothing").error["code"] == "not_found"
    assert client.get(CHAT).error["code"] == "method_not_allowed"
    assert client.get(CHAT).status == 405
    assert client.get(CHAT).headers["allow"] == "POST"
    put = client.request("PUT", "/v1/v1/responses/x")
    assert (put.status, put.headers["allow"]) == (405, "DELETE, GET")
    assert client.request("PUT", "/openapi.json").headers["allow"] == "GET"
