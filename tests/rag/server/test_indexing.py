"""Documents added through the server: only from its own folders, one run at a time, watched."""

import os
import threading
import time

import pytest

from rag import Rag
from rag.errors import RagError
from rag.server.folders import Folders
from rag.server.indexing import file_name
from rag.server.jobs import Jobs
from rag.server.serve import checked_roots
from tests.fakes import FakeEncoder, FakeGenerator
from tests.rag.server.client import SITE, serving

BYTES = {"content-type": "application/octet-stream"}


@pytest.fixture
def rag(tmp_path):
    """An index whose server may read `tmp_path/open`, beside which lies `secret`."""
    for name in ("open/inner", "secret", "open/.hidden"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.txt").write_text(f"Words of {name}.")
    (tmp_path / "secret.txt").write_text("A secret.")
    with Rag.open(tmp_path / ".rag", generator=FakeGenerator(), encoder=FakeEncoder()) as rag:
        SITE.roots = ((tmp_path / "open").resolve(),)
        SITE.jobs = Jobs()
        yield rag
        SITE.jobs.close()
        SITE.roots = ()


def upload(rag, name, data=b"Some words.", **headers):
    return serving(rag=rag).post(f"/v1/uploads?name={name}", data, headers={**BYTES, **headers})


def index(rag, *paths):
    return serving(rag=rag).post("/v1/index", {"paths": [str(path) for path in paths]})


def finished(rag):
    for _ in range(500):
        job = serving(rag=rag).get("/v1/index").json
        if not job["running"] and not job["waiting"]:
            return job
        time.sleep(0.01)
    raise AssertionError(job)


def sources(rag):
    return [document.source for document in rag.documents()]


def test_a_folder_is_indexed_and_the_run_told(rag, tmp_path):
    (tmp_path / "open/empty.txt").touch()
    assert index(rag, tmp_path / "open").status == 200
    job = finished(rag)
    assert (job["name"], job["done"], job["total"], job["added"]) == ("open", 2, 2, 1)
    assert job["skipped"] == [{"source": "open/empty.txt", "reason": "empty"}]
    assert sources(rag) == ["open/inner/a.txt"]
    index(rag, tmp_path / "open/inner/a.txt")
    assert finished(rag)["unchanged"] == 1


@pytest.mark.parametrize(
    "path",
    [
        *("secret", "secret.txt", "open/../secret", "open/inner/../../secret.txt", ".", ".."),
        *("open/.hidden", "open/.hidden/a.txt", "open-not", ".rag", "open/out", "open/inner/up"),
        *("open/chain/a.txt", "open/loop", "open/out.txt", "open\0"),
    ],
)
def test_nothing_outside_the_roots_is_indexed(rag, tmp_path, path):
    (tmp_path / "open-not").mkdir()
    (tmp_path / "open/out").symlink_to(tmp_path / "secret")
    (tmp_path / "open/out.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "open/inner/up").symlink_to("../..")
    (tmp_path / "open/chain").symlink_to("out")
    (tmp_path / "open/loop").symlink_to("loop")
    reply = index(rag, f"{tmp_path}/{path}")
    assert reply.status in (403, 404)
    assert serving(rag=rag).get(f"/v1/folders?path={tmp_path}/{path}").status in (403, 404)
    assert sources(rag) == []


@pytest.mark.parametrize("path", ["open", "open/inner", "secret", "", "~", "*", "-", "http://x/y"])
def test_paths_that_are_not_absolute_are_refused(rag, tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    reply = index(rag, path)
    assert reply.status == 400
    assert not path or reply.error["message"].startswith(f"{path} is no absolute path")


def test_links_in_a_folder_that_lead_out_of_it_are_gaps_and_others_are_followed(rag, tmp_path):
    (tmp_path / "open/out").symlink_to(tmp_path / "secret")
    (tmp_path / "open/out.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "open/in.txt").symlink_to("inner/a.txt")
    index(rag, tmp_path / "open")
    job = finished(rag)
    assert [each["source"] for each in job["skipped"]] == ["open/out.txt"]
    assert "leads out" in job["skipped"][0]["reason"]
    assert sources(rag) == ["open/inner/a.txt"]
    assert "secret" not in "".join(rag.text(source) for source in sources(rag))


def test_what_was_judged_is_what_is_read(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open/real.txt").write_text("x")
    (tmp_path / "open/link.txt").symlink_to("real.txt")
    files, _ = Folders((tmp_path.resolve(),)).files([tmp_path / "open/link.txt"], home=tmp_path)
    assert files == [(tmp_path / "open/real.txt").resolve()]


def test_folders_are_listed_inside_the_roots_only(rag, tmp_path):
    (tmp_path / "open/link").symlink_to(tmp_path / "secret")
    client = serving(rag=rag)
    (root,) = client.get("/v1/folders").json["folders"]
    assert root == {"name": "open", "path": str(tmp_path / "open")}
    inside = client.get(f"/v1/folders?path={root['path']}").json
    assert [each["name"] for each in inside["folders"]] == ["inner"]
    assert inside["parent"] is None
    below = client.get(f"/v1/folders?path={root['path']}/inner").json
    assert (below["parent"], below["folders"], below["files"]) == (root["path"], [], 1)


def test_a_file_that_is_sent_can_be_indexed_and_asked_for(rag, tmp_path):
    reply = upload(rag, "r%C3%A9sum%C3%A9.txt")
    assert reply.json == {"path": f"{tmp_path}/uploads/résumé.txt", "name": "résumé.txt"}
    assert index(rag, reply.json["path"]).status == 200
    assert finished(rag)["added"] == 1
    assert rag.text("uploads/résumé.txt") == "Some words."


def test_the_same_file_twice_is_one_and_another_of_that_name_gets_a_number(rag):
    names = [upload(rag, "a.txt", data).json["name"] for data in (b"x", b"x", b"y", b"y", b"z")]
    assert names == ["a.txt", "a.txt", "a (2).txt", "a (2).txt", "a (3).txt"]


def test_what_is_sent_as_anything_else_or_too_large_or_empty_is_refused(rag, tmp_path):
    for kind in ("application/json", "text/plain", "multipart/form-data"):
        assert upload(rag, "a.txt", **{"content-type": kind}).status == 415
    assert upload(rag, "a.txt", b"").status == 400
    large = {"content-length": str(10**10)}
    assert upload(rag, "a.txt", **large).status == 413
    assert not (tmp_path / "uploads").exists()
    assert serving().post("/v1/uploads?name=x", b"x", headers=BYTES).status == 400  # no index


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\b.pdf", "b.pdf"),
        ("/", "file"),
        ("..", "file"),
        (".rag", "rag"),
        ("a\0b\n.txt", "a_b_.txt"),
        ("mail!part.txt", "mail_part.txt"),
        ("x" * 500 + ".pdf", "x" * 120 + ".pdf"),
        ("報告書.docx", "報告書.docx"),
        ("e\u0301.txt", "é.txt"),
        ("<b>*?.txt", "_b___.txt"),
    ],
)
def test_names_are_made_harmless(name, kept):
    assert file_name(name) == kept
    assert os.sep not in kept and not kept.startswith(".")


class Held:
    """An index whose runs wait to be let go, and then read three files."""

    def __init__(self):
        self.go = threading.Event()
        self.runs = []

    def index(self, files, *, progress):
        from ingest.sync import Progress, Report

        self.runs.append(files)
        for done in (1, 2, 3):
            progress(Progress(f"{done}.txt", done, 3, done))
            self.go.wait(10)
        return Report(("1",), (), (), 2, (), (), 3, 0.0)


def until(check):
    for _ in range(500):
        if check():
            return
        time.sleep(0.01)
    raise AssertionError


def test_runs_wait_for_each_other_and_can_be_watched():
    jobs, held = Jobs(), Held()
    for name in ("one", "two"):
        jobs.start(held, lambda: ([], []), name=name)
    until(lambda: jobs.job.done == 1)
    job = jobs.job
    assert (job.name, job.running, job.total, job.waiting) == ("one", True, 3, 1)
    held.go.set()
    until(lambda: jobs.job.number == 2 and not jobs.job.running)
    assert (jobs.job.name, jobs.job.added, jobs.job.unchanged) == ("two", 1, 2)
    assert len(held.runs) == 2
    jobs.close()


def test_a_run_that_is_stopped_ends_at_the_next_file_and_those_behind_it_do_not_begin():
    jobs, held = Jobs(), Held()
    for name in ("one", "two"):
        jobs.start(held, lambda: ([], []), name=name)
    until(lambda: jobs.job.done == 1)
    jobs.stop()
    held.go.set()
    until(lambda: jobs.job.number == 2 and not jobs.job.running)
    assert jobs.job.stopped
    assert len(held.runs) == 1
    jobs.start(held, lambda: ([], []), name="three")  # and later ones run as ever
    until(lambda: jobs.job.number == 3 and not jobs.job.running)
    assert jobs.job.added == 1
    jobs.close()


def test_a_run_that_fails_says_why():
    jobs = Jobs()

    def missing():
        raise RagError("another program is writing to this index")

    jobs.start(Held(), missing, name="one")
    until(lambda: jobs.job.number == 1 and not jobs.job.running)
    assert jobs.job.error == "another program is writing to this index"
    jobs.close()


def test_roots_are_folders_that_are_there(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    assert checked_roots([tmp_path / "a", tmp_path / "b"]) == [(tmp_path / "a").resolve()]
    with pytest.raises(RagError, match="no such folder"):
        checked_roots([tmp_path / "c"])
