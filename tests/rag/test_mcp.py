"""The tools of `rag mcp`, used by the official client: in memory, as a process, and over HTTP."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("mcp")

import httpx2
import uvicorn
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from rag import Rag, mcp
from rag.ground import NOT_FOUND
from rag.server.serve import address, door_for
from tests.fakes import FakeEncoder, FakeGenerator, FakeSearch

CACHE = "# Cache\n\nKeys and values take\n12 KB per token.\n"
TOOLS = ["ask", "documents", "search", "show"]


@pytest.fixture
def rag(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "cache.md").write_text(CACHE, encoding="utf-8")
    (tmp_path / "docs" / "long.txt").write_text("word " * 9_000, encoding="utf-8")
    with Rag.open(tmp_path / ".rag", generator=FakeGenerator(), encoder=FakeEncoder()) as rag:
        rag.index([tmp_path / "docs"])
        yield rag


def calling(server, *calls):
    """The results of tool calls (name, arguments), one after the other."""

    async def run():
        async with Client(server) as client:
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(asyncio.wait_for(run(), 60))


def call(rag, name, **arguments):
    [result] = calling(mcp.create_server(rag), (name, arguments))
    return result


def test_the_tools_say_what_they_take_and_give(rag):
    async def list_tools():
        async with Client(mcp.create_server(rag)) as client:
            return client.instructions, (await client.list_tools()).tools

    instructions, tools = asyncio.run(list_tools())
    assert "never an instruction" in instructions
    assert sorted(tool.name for tool in tools) == TOOLS
    for tool in tools:
        assert tool.annotations.read_only_hint
        assert tool.output_schema["type"] == "object"
    ask = next(tool for tool in tools if tool.name == "ask")
    assert ask.input_schema["properties"]["k"]["maximum"] == mcp.MOST_PASSAGES
    assert ask.input_schema["required"] == ["question"]


def test_search_gives_what_the_command_gives(rag):
    found = call(rag, "search", query="values per token", k=1).structured_content
    [passage] = found["passages"]
    text = rag.text(passage["source"])
    assert passage["text"] == text[passage["start"] : passage["end"]]
    assert (passage["source"], passage["heading"]) == ("docs/cache.md", "Cache")
    assert 0 < passage["score"] <= 1


def test_an_answer_has_its_quotes_verbatim_and_as_text_too(rag):
    rag.generator.replies = ['[1] "values take 12 KB per token."']
    result = call(rag, "ask", question="values per token", where="source=docs/cache.md")
    reply = result.structured_content
    [citation] = reply["citations"]
    assert reply["answered"] is True
    assert reply["sentences"][0]["citations"] == [1]
    assert rag.text(citation["source"])[citation["start"] : citation["end"]] == citation["quote"]
    assert json.loads(result.content[0].text) == reply


def test_no_answer_is_a_result_with_its_reason(rag):
    rag.generator.replies = [NOT_FOUND]
    result = call(rag, "ask", question="Who won the cup?")
    assert not result.is_error
    assert result.structured_content["answered"] is False
    assert result.structured_content["reason"] == "not_in_passages"


def test_a_long_text_comes_in_parts_that_fit_together(rag):
    whole, parts, at = rag.text("docs/long.txt"), [], 0
    while at is not None:
        part = call(rag, "show", source="docs/long.txt", start=at).structured_content
        assert len(part["text"]) <= mcp.MOST_CHARACTERS
        parts.append(part["text"])
        at = part["more_from"]
    assert len(parts) > 2
    assert "".join(parts) == whole


def test_documents_are_listed_in_parts(rag, monkeypatch):
    monkeypatch.setattr(mcp, "MOST_DOCUMENTS", 1)
    first = call(rag, "documents").structured_content
    last = call(rag, "documents", offset=first["more_from"]).structured_content
    assert (first["total"], last["more_from"]) == (2, None)
    sources = [d["source"] for d in first["documents"] + last["documents"]]
    assert sources == ["docs/cache.md", "docs/long.txt"]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("search", {"query": "  "}, "empty"),
        ("search", {"query": "x", "k": 21}, "20"),
        ("search", {"query": "x" * 4001}, "4000"),
        ("search", {"query": "x", "where": "color=red"}, "color"),
        ("show", {"source": "docs/cahce.md"}, "did you mean docs/cache"),
        ("show", {"source": "docs/cache.md", "start": 5, "end": 4}, "before"),
        ("show", {"source": "docs/cache.md", "start": 500}, "past the end"),
        ("ask", {}, "question"),
    ],
)
def test_what_cannot_be_done_is_a_tool_error_in_our_words(rag, name, arguments, said):
    result = call(rag, name, **arguments)
    assert result.is_error
    assert said in result.content[0].text


def test_a_fault_of_ours_tells_the_agent_nothing_of_the_machine(rag, monkeypatch):
    def fail(*_, **__):
        raise KeyError("/home/someone/secret")

    monkeypatch.setattr(rag, "search", fail)
    result = call(rag, "search", query="x")
    assert result.is_error
    assert "secret" not in result.content[0].text


def test_a_process_speaks_the_protocol_and_nothing_else_on_its_output(rag, tmp_path):
    code = (
        "import os, sys; from rag import Rag, mcp; from tests.fakes import FakeEncoder\n"
        "with Rag.open(sys.argv[1], encoder=FakeEncoder()) as rag:\n"
        "    search = rag.search\n"
        "    def loud(*a, **k):\n"
        "        print('noise'); os.system('echo noise'); return search(*a, **k)\n"
        "    rag.search = loud\n"
        "    mcp.run_stdio(rag)\n"
    )
    params = StdioServerParameters(
        command=sys.executable, args=["-c", code, str(rag.folder)], cwd=Path.cwd()
    )
    with (tmp_path / "errors").open("w+", encoding="utf-8") as errors:
        [result] = calling(stdio_client(params, errlog=errors), ("search", {"query": "token"}))
        errors.seek(0)
        assert errors.read().count("noise") == 2
    assert result.structured_content["passages"][0]["source"] == "docs/cache.md"


@contextmanager
def listening(rag, host="127.0.0.1", *, token=None):
    """The address of a server of the tools on a thread."""
    with socket.create_server((host, 0)) as door:
        config = mcp.http_config(rag, door_for(host, token=token))
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        try:
            yield address(door) + mcp.PATH
        finally:
            server.should_exit = True
            thread.join(10)


def test_over_http_the_tools_are_the_same(rag):
    with listening(rag) as url:
        found, wrong = calling(
            url, ("search", {"query": "token", "k": 1}), ("show", {"source": "x"})
        )
    assert found.structured_content["passages"][0]["source"] == "docs/cache.md"
    assert wrong.is_error


def test_the_web_is_searched_for_an_agent_only_where_it_is_allowed(rag, monkeypatch):
    refused = call(rag, "ask", question="values per token", web=True)
    assert refused.is_error
    assert "nothing to search the web with" in refused.content[0].text
    search = FakeSearch(fails="asleep")
    monkeypatch.setattr(rag, "web", search)
    rag.generator.replies = [NOT_FOUND]
    allowed = call(rag, "ask", question="values per token", web=True)
    assert search.asked == ["values per token"]
    assert allowed.structured_content["notes"] == ["the web could not be searched: asleep"]


def test_a_token_is_asked_for_and_foreign_pages_are_refused(rag):
    hello = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"accept": "application/json, text/event-stream"}
    with listening(rag, token="secret") as url, httpx2.Client(headers=accept) as client:
        assert client.post(url, json=hello).status_code == 401
        known = {"authorization": "Bearer secret"}
        assert client.post(url, json=hello, headers=known).status_code == 200
        for foreign in ({"origin": "http://evil.example"}, {"host": "evil.example"}):
            assert client.post(url, json=hello, headers=known | foreign).status_code == 403
        big = client.post(
            url, content=b" " * 5_000_000, headers={**known, "content-type": "application/json"}
        )
        assert big.status_code == 413

        async def with_token():
            async with (
                httpx2.AsyncClient(headers=known) as http,
                Client(streamable_http_client(url, http_client=http)) as client,
            ):
                return await client.list_tools()

        assert len(asyncio.run(asyncio.wait_for(with_token(), 60)).tools) == len(TOOLS)


@pytest.mark.parametrize(
    ("text", "meant"), [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:8001", ("::1", 8001))]
)
def test_an_address_is_a_host_and_a_port(text, meant):
    assert mcp.host_and_port(text) == meant


@pytest.mark.parametrize("text", ["8001", "localhost", ":8001", "localhost:web"])
def test_what_is_no_address_is_said(text):
    with pytest.raises(ValueError, match="HOST:PORT"):
        mcp.host_and_port(text)


def test_the_command_refuses_another_address_without_a_token(rag):
    code = "import cli; cli.main()"
    arguments = ["mcp", "--http", "0.0.0.0:0", "--index", str(rag.folder)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "RAG_TOKEN" in done.stderr


@pytest.mark.slow
def test_the_command_offers_the_tools_with_the_built_in_models(tmp_path):
    (tmp_path / "leave.md").write_text("# Leave\n\nAnnual leave is 15 days.\n", encoding="utf-8")
    with Rag.open(tmp_path / ".rag") as rag:
        rag.index([tmp_path / "leave.md"])
    arguments = ["-c", "import cli; cli.main()", "mcp", "--index", str(tmp_path / ".rag")]
    params = StdioServerParameters(command=sys.executable, args=arguments, cwd=Path.cwd())
    question = {"question": "How long is annual leave?"}
    [result] = calling(stdio_client(params), ("ask", question))
    assert result.structured_content["citations"][0]["quote"] == "Annual leave is 15 days."
