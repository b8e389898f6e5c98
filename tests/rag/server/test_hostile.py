"""Hostile use of a real server: it answers or refuses everything, loses no block, and goes on."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.backbone.checkpoints import write_checkpoint
from tests.rag.server.test_serving import serving

pytestmark = pytest.mark.slow

CHAT = "/v1/chat/completions"
HELLO = {"model": "lfm2", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}
LONG = {**HELLO, "max_tokens": 4000, "stream": True}
CLIENT = """
import json, sys, urllib.request
body = json.dumps({body!r}).encode()
request = urllib.request.Request({url!r}, body, {{"content-type": "application/json"}})
with urllib.request.urlopen(request) as reply:
    print("on", flush=True)
    while reply.read(1):
        pass
"""
HOOK = """
import schemathesis

@schemathesis.hook
def map_body(context, body):
    # Names that are there, and few tokens: so that what is made up comes as far as the model.
    if isinstance(body, dict) and isinstance(body.get("model"), str) and len(body["model"]) <= 512:
        path = context.operation.path
        body["model"] = "encoder" if path in ("/v1/embeddings", "/v1/rerank") else "lfm2"
        for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
            if isinstance(body.get(name), int) and body[name] > 5:
                body[name] = 5 if body[name] < 2**31 else body[name]
        if "chat" in path and not {"max_tokens", "max_completion_tokens"} & body.keys():
            body["max_tokens"] = 5
        if "responses" in path:
            body.setdefault("max_output_tokens", 5)
    return body
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    write_checkpoint(folder / "model", max_position_embeddings=8192)
    with serving("--model", "model", "--name", "lfm2", cwd=folder) as (process, url):
        yield url
        assert process.poll() is None, "the server ended"


def post(url, path, body, timeout=120):
    """The status and value of a reply."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url + path, raw, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def engine(url):
    """What the engine counts, by name."""
    with urllib.request.urlopen(url + "/metrics", timeout=60) as reply:
        return {
            name: float(value)
            for name, value in re.findall(
                r"^ragbone_engine_(\w+) (\S+)$", reply.read().decode(), re.M
            )
        }


def assert_idle_and_whole(url):
    """Nothing runs any more, every row is free, and a request is answered as ever.

    Blocks may hold prefixes for later; that none is lost shows when the memory is asked for whole.
    """
    for _ in range(600):
        counts = engine(url)
        if counts["running"] == counts["waiting"] == 0:
            break
        time.sleep(0.1)
    assert (counts["running"], counts["waiting"]) == (0, 0)
    assert counts["free_rows"] == 64
    assert counts["free_blocks"] == counts["blocks"]
    assert post(url, CHAT, HELLO)[0] == 200


def test_clients_killed_while_they_read_leave_nothing_behind(url):
    dice = random.Random(0)
    code = CLIENT.format(body=LONG, url=url + CHAT)
    for _ in range(3):
        clients = [
            subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(8)
        ]
        for client in dice.sample(clients, len(clients)):
            client.stdout.readline()
            time.sleep(dice.random() * 0.1)
            os.kill(client.pid, signal.SIGKILL)
        for client in clients:
            client.communicate()
    assert_idle_and_whole(url)


def test_clients_that_reset_at_any_moment_leave_nothing_behind(url):
    dice = random.Random(1)
    host, port = url.removeprefix("http://").split(":")
    for number in range(150):
        body = json.dumps(LONG if number % 2 else {**LONG, "stream": False}).encode()
        request = (
            f"POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(request[: dice.choice([len(request), dice.randrange(len(request))])])
            time.sleep(dice.random() * 0.05)
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # on, for 0 s: close with a reset
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    assert_idle_and_whole(url)


def test_a_client_that_never_reads_holds_nobody_up(url):
    host, port = url.removeprefix("http://").split(":")
    body = json.dumps({**LONG, "n": 4}).encode()
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        head = f"POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(0.5)
        assert post(url, CHAT, HELLO)[0] == 200
    assert_idle_and_whole(url)


@pytest.mark.parametrize("letter", ["x ", "é", "\\", "<|im_end|>"])
def test_prompts_of_ten_megabytes_are_refused_as_too_long(url, letter):
    content = letter * (10_000_000 // len(letter.encode()))
    body = {**HELLO, "messages": [{"role": "user", "content": content}]}
    status, reply = post(url, CHAT, body)
    assert status in (400, 413), reply[:300]
    assert json.loads(reply)["error"]["code"] in ("context_length_exceeded", "request_too_large")
    assert_idle_and_whole(url)


def test_thousands_of_requests_at_once_are_answered_or_refused(url):
    """10,000 requests, over 2,000 connections: each is answered, or told to come back."""
    body = {**HELLO, "max_tokens": 1, "n": 5}
    statuses = []

    def ask(_):
        statuses.append(post(url, CHAT, body, timeout=590)[0])

    threading.stack_size(256 * 1024)
    try:
        with ThreadPoolExecutor(2000) as pool:
            list(pool.map(ask, range(2000)))
    finally:
        threading.stack_size(0)
    assert set(statuses) <= {200, 429, 503}
    assert statuses.count(200) > 100
    assert_idle_and_whole(url)


@pytest.mark.parametrize(
    "body",
    [
        {"response_format": {"type": "regex", "pattern": "(" * 500 + ")" * 500}},
        {"response_format": {"type": "regex", "pattern": "(a{1,1000}){1,1000}"}},
        {"response_format": {"type": "regex", "pattern": "("}},
        {"response_format": {"type": "json_object", "schema": {"$ref": "#"}}},
        {"response_format": {"type": "json_object", "schema": {"$ref": "http://127.0.0.1/x"}}},
        {"response_format": {"type": "json_object", "schema": {"pattern": 5, "type": []}}},
        {"response_format": {"type": "json_object", "schema": {"enum": ["a" * 1000] * 1000}}},
        {"stop": ["\U0010ffff", "\x00"]},
        {"logit_bias": {"999999999": 1}},
        {"logit_bias": {str(n): -100 for n in range(450)}},
        {"temperature": 1e-300},
        {"temperature": 100},
        {"top_p": 0},
        {"top_p": 5e-324},
        {"seed": -(2**63)},
        {"seed": 10**4000},
        {"repetition_penalty": 1e-300},
        {"n": 128, "max_tokens": 1},
        {"tools": [{"type": "function", "function": {"name": "f"}}] * 2},
        {
            "tools": [
                {
                    "type": "function",
                    "function": {"name": f"f{n}", "parameters": {"type": "object"}},
                }
                for n in range(300)
            ],
            "tool_choice": "required",
        },
        {"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]},
        {"messages": [{"role": "assistant", "content": "x"}] * 300},
        {"messages": [{"role": "user", "content": ""}]},
    ],
    ids=lambda body: json.dumps(body)[:40],
)
def test_odd_requests_are_answered_or_refused(url, body):
    status, reply = post(url, CHAT, {**HELLO, **body})
    assert status in (200, 400), (status, reply[:500])
    assert_idle_and_whole(url)


def test_malformed_bodies_of_every_route_are_answered_as_the_document_says(url, tmp_path):
    """schemathesis makes them up, good and bad, out of the OpenAPI document.

    Good ones may be refused: what a pattern, a schema or a model's name is worth no document says.
    """
    pytest.importorskip("schemathesis", reason="pip install schemathesis")
    (tmp_path / "reaching.py").write_text(HOOK)
    checks = "ignored_auth,positive_data_acceptance"
    command = [
        sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run",
        f"{url}/openapi.json", "--phases", "examples,coverage,fuzzing", "--max-examples", "20",
        "--checks", "all", "--exclude-checks", checks, "--seed", "1",
        "--request-timeout", "60", "--generation-deterministic",
    ]  # fmt: skip
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "reaching", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=580
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert_idle_and_whole(url)


def test_a_server_told_to_stop_finishes_the_short_ends_the_long_and_takes_no_more(tmp_path):
    write_checkpoint(tmp_path / "model", max_position_embeddings=8192)
    with serving("--model", "model", "--name", "lfm2", cwd=tmp_path) as (process, url):
        with ThreadPoolExecutor(8) as pool:
            short = pool.submit(post, url, CHAT, {**HELLO, "max_tokens": 200, "stream": True})
            long = [pool.submit(post, url, CHAT, {**LONG, "max_tokens": 8000}) for _ in range(6)]
            while engine(url)["running"] < 7 and not short.done():
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
            status, reply = short.result()
            assert (status, reply.endswith(b"data: [DONE]\n\n")) == (200, True)
            for request in long:
                assert request.done() or request.exception(timeout=5) is not None
        with pytest.raises(urllib.error.URLError):
            post(url, CHAT, HELLO)
