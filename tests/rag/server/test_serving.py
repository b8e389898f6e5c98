"""`rag serve` as a process: where it listens, how it stops, what it says when it cannot start."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag.errors import RagError
from rag.server.serve import address, listen

ROOT = Path(__file__).resolve().parents[3]
CODE = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import cli; cli.main()"


def command(*arguments):
    return [sys.executable, "-c", CODE, "serve", *arguments]


@contextmanager
def serving(*arguments, cwd):
    """A server process and its URL."""
    process = subprocess.Popen(
        command("--port", "0", *arguments),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("RAG_")},
    )
    try:
        line = process.stdout.readline()
        found = re.match(r"(http://\S+)/v1 serves (.*);", line)
        assert found, process.communicate(timeout=10)
        process.models = found[2].split(", ")
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


def get(url, path):
    with urllib.request.urlopen(url + path, timeout=10) as reply:
        return json.load(reply)


@pytest.mark.parametrize(
    "stop", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_it_says_where_it_listens_and_stops_quietly(tmp_path, stop):
    with serving(cwd=tmp_path) as (process, url):
        assert process.models == ["builtin"]
        assert get(url, "/health") == {"status": "ok"}
        assert get(url, "/v1/models")["data"][0]["id"] == "builtin"
        process.send_signal(stop)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert "served alone" in err  # there is no index


def refused(*arguments, cwd, code=CODE):
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_other_addresses_take_a_token_before_anything_is_loaded(tmp_path):
    assert "RAG_TOKEN" in refused("--host", "0.0.0.0", cwd=tmp_path)


def test_without_its_packages_it_says_what_to_install(tmp_path):
    code = f"import sys; sys.modules['fastapi'] = None; {CODE}"
    assert "pip install 'ragbone[server]'" in refused(cwd=tmp_path, code=code)


def test_a_port_that_is_taken_is_said_with_what_to_do():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RagError, match=f"port {port} .* is taken: choose another with --port"):
            listen("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_said():
    with pytest.raises(RagError, match=r"cannot listen on 203\.0\.113\.1"):
        listen("203.0.113.1", 0)


def test_the_address_is_a_url():
    with listen("127.0.0.1", 0) as listening:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address(listening))
    if socket.has_ipv6:
        try:
            with listen("::1", 0) as listening:
                assert address(listening).startswith("http://[::1]:")
        except RagError:
            pytest.skip("this machine has no IPv6")
