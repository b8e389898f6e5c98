"""`rag chat`, with lines from a pipe."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from backbone.request import Stream
from rag.ground import NOT_FOUND
from tests.fakes import FakeEncoder, FakeGenerator

LEAVE = "# Leave\n\nAnnual leave is\n15 days.\n"
REPLY = '[1] "Annual leave is 15 days."'


@pytest.fixture
def generator(monkeypatch):
    fake = FakeGenerator(REPLY)
    monkeypatch.setattr("backbone.backbone.Backbone.load", lambda name, **_: fake)
    return fake


@pytest.fixture
def chat(monkeypatch, tmp_path, generator):
    """Runs `rag chat` with lines of input in a folder with an index."""
    monkeypatch.setattr("ingest.encode.load_encoder", lambda name, **_: FakeEncoder(name))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAG_INDEX", raising=False)
    (tmp_path / "leave.md").write_text(LEAVE, encoding="utf-8")
    assert CliRunner().invoke(cli.app, ["index", "leave.md"]).exit_code == 0

    def chat(*lines, options=()):
        done = CliRunner().invoke(cli.app, ["chat", *options], input="\n".join(lines) + "\n")
        assert isinstance(done.exception, SystemExit | None), done.exception
        return done

    return chat


def test_a_question_is_answered_with_its_sources(chat):
    done = chat("How long is annual leave?")
    assert done.exit_code == 0
    assert done.stdout.startswith("Annual leave is 15 days. [1]\n")
    assert "[1] leave.md" in done.stdout
    assert done.stderr == ""


def test_a_conversation_goes_on_after_what_went_wrong(chat, generator):
    generator.replies = [NOT_FOUND, REPLY]
    lines = ("/bogus", "/where color=red", "Who won?", "How long is annual leave?", "/show 1")
    done = chat(*lines)
    assert done.exit_code == 0
    assert "there is no /bogus" in done.stderr
    assert "color" in done.stderr
    assert "do not contain the answer" in done.stderr
    assert done.stdout.count("Annual leave is") == 3  # the answer, its source, and what is shown


def test_ctrl_c_stops_the_answer_and_not_the_program(chat, generator, monkeypatch):
    cancelled = []

    class Interrupted(Stream):
        def __iter__(self):
            raise KeyboardInterrupt

    stopping = [Interrupted(on_cancel=lambda: cancelled.append(True))]
    submit = generator.submit
    monkeypatch.setattr(
        generator, "submit", lambda m, **o: stopping.pop() if stopping else submit(m, **o)
    )
    done = chat("How long is annual leave?", "How long is annual leave, again?")
    assert (done.exit_code, cancelled) == (0, [True])
    assert "stopped" in done.stderr
    assert done.stdout.startswith("Annual leave is 15 days. [1]\n")


def test_it_ends_with_quit_or_with_the_input(chat, generator):
    done = chat("/quit", "How long is annual leave?")
    assert (done.exit_code, done.stdout) == (0, "")
    assert not generator.requests


def test_a_saved_conversation_is_resumed(chat, generator, tmp_path):
    chat("How long is annual leave?", "/save talk.jsonl")
    [line] = (tmp_path / "talk.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["answer"]["citations"][0]["quote"] == "Annual leave is\n15 days."
    generator.replies = [REPLY]
    done = chat("/sources", "And how long?", options=["--resume", "talk.jsonl"])
    assert "[1] leave.md" in done.stdout
    assert "Earlier question: How long is annual leave?" in str(generator.requests[-1][0][-1])


def test_a_broken_conversation_is_an_error_with_its_line(chat, tmp_path):
    (tmp_path / "talk.jsonl").write_text("{}\n", encoding="utf-8")
    done = chat(options=["--resume", "talk.jsonl"])
    assert done.exit_code == 1
    assert "talk.jsonl, line 1: question is missing" in done.stderr


def test_an_empty_index_is_said_before_anything_is_asked(chat, tmp_path):
    assert CliRunner().invoke(cli.app, ["rm", "leave.md"]).exit_code == 0
    done = chat("How long?")
    assert done.exit_code == 1
    assert "rag index" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is played with pty")
def test_on_a_terminal_there_is_a_prompt_and_ctrl_d_leaves(tmp_path):
    import fcntl
    import os
    import pty
    import select
    import signal
    import termios

    def own_terminal():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore Ctrl-C

    (tmp_path / "leave.md").write_text("Annual leave is 15 days.\n", encoding="utf-8")
    root = str(Path.cwd())
    code = f"import sys; sys.path.insert(0, {root!r}); import cli; cli.main()"
    subprocess.run([sys.executable, "-c", code, "index", "leave.md"], cwd=tmp_path, check=True)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code, "chat"],
        cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=own_terminal,
    )  # fmt: skip
    os.close(theirs)

    def read_until(mark, key=b""):
        """What is printed up to a mark; a key is pressed again where the prompt was not ready."""
        seen, deadline = b"", time.monotonic() + 60
        while mark not in seen:
            assert time.monotonic() < deadline, seen
            if key and not select.select([ours], [], [], 1)[0]:
                os.write(ours, key)
            else:
                seen += os.read(ours, 1000)
        return seen

    read_until(b"> ")
    assert b"leaves" in read_until(b"\n> ", key=b"\x03")  # Ctrl-C at the prompt
    os.write(ours, b"How long is annual leave?\n")
    assert b"15 days. [1]" in read_until(b"\n> ")
    time.sleep(0.5)  # until the prompt reads keys and not lines
    os.write(ours, b"\x04")
    assert process.wait(20) == 0
    os.close(ours)
