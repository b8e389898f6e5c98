"""Parsers in their own processes: what happens to them happens to one file only."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import formats
import psutil
import pytest

from ingest.errors import ExtractError, PasswordNeeded
from ingest.sniff import HTML, PDF
from ingest.worker import Workers

PAGE = b"<h1>Title</h1><p>A paragraph.</p>"


def read(workers: Workers, data: bytes = PAGE, media_type: str = HTML, passwords=()):
    return workers.parse(data, media_type=media_type, name="a", passwords=passwords)


def children() -> set[psutil.Process]:
    return {p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE}


@pytest.fixture(scope="module")
def shared():
    with Workers() as workers:
        yield workers


def test_a_file_is_read_in_another_process(shared):
    content = read(shared)
    assert content.text == "Title\n\nA paragraph."
    assert [(h.start, h.level, h.text) for h in content.headings] == [(0, 1, "Title")]


def test_pages_titles_and_files_inside_come_back_too(shared):
    content = read(shared, formats.pdf(["One", "Two"], attached=("n.bin", bytes(range(256)))), PDF)
    assert (content.text, content.pages) == ("One\fTwo", (0, 4))
    assert [(m.name, m.data) for m in content.members] == [("n.bin", bytes(range(256)))]


def test_errors_keep_their_kind(shared):
    with pytest.raises(PasswordNeeded, match="--password"):
        read(shared, formats.pdf(["One"], password="x"), PDF)
    with pytest.raises(ExtractError, match="damaged"):
        read(shared, b"%PDF-1.4\nnothing", PDF)


def test_an_unforeseen_error_is_a_reason_and_no_crash(shared):
    with pytest.raises(ExtractError, match="could not be read"):
        shared.parse(PAGE, media_type="application/rtf", name=5)  # a name is no number
    assert read(shared).text


def test_no_process_is_started_before_one_is_needed_or_left_behind():
    before = children()
    with Workers(2) as workers:
        assert children() == before
        read(workers)
        assert len(children() - before) == 1
    assert children() == before
    with pytest.raises(ExtractError, match="nobody waited"):
        read(workers)
    assert children() == before


def test_closing_ends_what_is_being_read_and_what_waits_for_its_turn():
    before = children()
    reasons = []

    def wait():
        try:
            workers.parse(b"<p>x" + b"<a " * 100_000, media_type="text/html", name="slow.html")
        except ExtractError as error:
            reasons.append(str(error))

    workers = Workers()
    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    workers.close()
    for thread in threads:
        thread.join(10)
    assert len(reasons) == 3
    assert all("nobody waited" in reason for reason in reasons)
    assert children() == before


def test_a_worker_is_kept_however_much_memory_the_program_around_it_holds():
    ballast = b"x" * 700_000_000
    before = children()
    with Workers() as workers:
        read(workers)
        first = children() - before
        read(workers)
        assert len(first) == 1
        assert children() - before == first
    assert ballast


def test_a_file_that_takes_too_long_is_given_up_and_the_next_one_is_read():
    with Workers(timeout=0.5) as workers:
        with pytest.raises(ExtractError, match=r"took longer than 0\.5 seconds"):
            read(workers, b"<p>" + b"<i>x</i>" * 2_000_000)
        workers._timeout = 30  # starting anew may take a while on a busy machine
        assert read(workers).text


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="counts no work")
def test_the_seconds_are_those_of_work_and_not_of_waiting_for_a_busy_machine(monkeypatch):
    monkeypatch.setattr("ingest.worker._PATIENCE", 60)
    before = children()
    with Workers(timeout=1.0) as workers:
        read(workers)
        (process,) = children() - before
        process.suspend()  # as if other programs had the machine
        timer = threading.Timer(2.0, process.resume)
        timer.start()
        assert read(workers).text


def test_a_file_that_needs_too_much_memory_is_given_up_and_the_next_one_is_read():
    with Workers(memory=110_000_000, timeout=300) as workers:
        with pytest.raises(ExtractError, match="memory"):
            read(workers, b"<p>" + b"x" * 20_000_000)
        assert read(workers).text


def test_a_worker_that_was_killed_is_replaced():
    before = children()
    with Workers() as workers:
        read(workers)
        (process,) = children() - before
        process.kill()
        process.wait()
        assert read(workers).text


def test_a_worker_killed_at_work_costs_its_file_only():
    before = children()
    with Workers() as workers:
        failed: list[BaseException] = []

        def work() -> None:
            try:
                read(workers, b"<p>" + b"<i>x</i>" * 4_000_000)
            except ExtractError as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        while not children() - before:
            time.sleep(0.01)
        time.sleep(0.5)
        for process in children() - before:
            process.kill()
        thread.join(30)
        assert "the parser stopped on it" in str(failed[0])
        assert read(workers).text


def test_threads_share_the_workers():
    texts: dict[int, str] = {}
    before = children()
    with Workers(2) as workers:

        def work(number: int) -> None:
            texts[number] = read(workers, f"<p>page {number}</p>".encode()).text

        threads = [threading.Thread(target=work, args=(n,)) for n in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(children() - before) <= 2
    assert texts == {n: f"page {n}" for n in range(24)}


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import time\nfrom ingest.worker import Workers\nworkers = Workers()\n"
        f"workers.parse({PAGE!r}, media_type='text/html', name='a')\n"
        "print('ready', flush=True)\ntime.sleep(60)\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, env={"PYTHONPATH": root}
    )
    assert parent.stdout is not None and parent.stdout.readline() == b"ready\n"
    (worker,) = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert not psutil.wait_procs([worker], timeout=10)[1]


def test_a_script_without_a_main_guard_works(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(
        "from ingest.extract import extract\n"
        f"print([d.text for d in extract({PAGE!r}, name='a.html')])\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    run = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env={"PYTHONPATH": root}
    )
    assert run.stdout == "['Title\\n\\nA paragraph.']\n", run.stderr


def test_importing_the_front_loads_no_parser():
    code = (
        "import sys, ingest.extract, ingest.chunk; print({'xberg', 'pypdfium2', 'numpy', 'torch', "
        "'charset_normalizer', 'faiss'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "set()\n", run.stderr
