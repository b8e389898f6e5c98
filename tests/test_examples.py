"""The sample documents and the questions of `make demo`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.extract import extract
from ingest.worker import Workers

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
DOCUMENTS = sorted((EXAMPLES / "documents").iterdir())
LINES = (EXAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()
QUESTIONS = [json.loads(line) for line in LINES]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The text of every sample document and of what is inside it, by source."""
    with Workers() as workers:
        found = [
            document
            for path in DOCUMENTS
            for document in extract(
                path.read_bytes(), name=f"examples/documents/{path.name}", workers=workers
            )
        ]
    return {document.source: document.text for document in found}


def test_every_sample_document_can_be_read(texts):
    assert {source.partition("!")[0].rpartition("/")[2] for source in texts} == {
        path.name for path in DOCUMENTS
    }
    assert all(len(text) > 100 for text in texts.values())


def test_every_sample_document_has_a_source_and_a_licence_in_the_notice():
    notice = (EXAMPLES / "NOTICE.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1] for line in notice.splitlines() if line.startswith("| `")}
    assert rows == {path.name for path in DOCUMENTS}


def test_the_answers_to_the_questions_are_in_the_documents(texts):
    for question in QUESTIONS:
        for phrase in question["answers"]:
            assert phrase in " ".join(texts[question["source"]].split())


def test_one_question_has_no_answer_in_any_document(texts):
    *answered, last = QUESTIONS
    assert all(question["answers"] for question in answered)
    assert last["source"] is None
    assert not any("Eiffel" in text for text in texts.values())


def test_the_library_example_runs_and_leaves_nothing_behind(tmp_path):
    before = set(EXAMPLES.rglob("*"))
    command = [sys.executable, str(EXAMPLES / "library.py")]
    paths = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Christopher Latham Sholes" in done.stdout
    assert "word-processors.en.pdf, page 1" in done.stdout
    assert set(EXAMPLES.rglob("*")) == before
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_built_in_models_answer_the_questions_of_the_demo(tmp_path, monkeypatch):
    from rag import Rag

    monkeypatch.chdir(tmp_path)
    shutil.copytree(EXAMPLES / "documents", "examples/documents")
    with Rag.open(".rag") as rag:
        rag.index(["examples/documents"])
        for question in QUESTIONS:
            answer = rag.ask(question["question"])
            assert answer.answered == bool(question["answers"]), question
            if answer.answered:
                assert answer.citations[0].source == question["source"]
                quote = " ".join(answer.citations[0].quote.split())
                assert any(phrase in quote for phrase in question["answers"])
