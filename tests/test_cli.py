"""The command line: what it prints where, its JSON, its exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from backbone.errors import CheckpointError, PromptTooLong
from rag.ground import NOT_FOUND
from tests.fakes import FakeEncoder, FakeGenerator
from tests.ingest.web import serving

ROOT = Path(__file__).resolve().parent.parent
QUESTION = "How long is annual leave?"
LEAVE = "# Leave\n\nAnnual leave is\n15 days.\n"
CAFE = "Le café ouvre à huit heures.\n"
SHIPPING = "يستغرق الشحن ثلاثة أيام.\n"


class Ran:
    """What a command did."""

    def __init__(self, result):
        self.code, self.out, self.err = result.exit_code, result.stdout, result.stderr
        self.error = None if isinstance(result.exception, SystemExit) else result.exception

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def generator(monkeypatch):
    """What answers: it says the replies that the test gives it."""
    fake = FakeGenerator()
    monkeypatch.setattr("backbone.backbone.Backbone.load", lambda name, **_: fake)
    return fake


@pytest.fixture
def rag(monkeypatch, tmp_path, generator):
    """Runs `rag` in a folder with three documents, with stand-ins for the models."""

    def load_encoder(name, *, threads=None):
        return FakeEncoder(name)

    (tmp_path / "docs").mkdir()
    for name, text in (("leave.md", LEAVE), ("café.txt", CAFE), ("شحن.txt", SHIPPING)):
        (tmp_path / "docs" / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr("ingest.encode.load_encoder", load_encoder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAG_INDEX", raising=False)

    def rag(*arguments, stdin=None):
        ran = Ran(CliRunner().invoke(cli.app, arguments, input=stdin))
        assert ran.error is None, ran.error
        assert "Traceback" not in ran.err
        return ran

    return rag


@pytest.fixture
def indexed(rag):
    """Runs `rag` on an index of the documents."""
    assert rag("index", "docs").code == 0
    return rag


def quote_of(indexed, question, text):
    """The reply that quotes a text under the number that its passage has."""
    hits = indexed("search", question, "-k", "6", "--json").json
    n = next(n for n, hit in enumerate(hits, start=1) if text in " ".join(hit["text"].split()))
    return f'[{n}] "{text}"'


def test_the_second_run_of_index_does_nothing(rag):
    first = rag("index", "docs", "--json").json
    assert first["added"] == ["docs/café.txt", "docs/leave.md", "docs/شحن.txt"]
    assert list(first) == [
        *("added", "updated", "removed", "unchanged", "skipped", "gone", "chunks", "seconds")
    ]
    second = rag("index", "docs", "--json").json
    assert (second["added"], second["updated"], second["unchanged"]) == ([], [], 3)


def test_index_says_what_it_did_and_what_it_skipped(rag, tmp_path):
    (tmp_path / "docs" / "empty.txt").touch()
    ran = rag("index", "docs")
    assert ran.code == 0
    assert ran.out.startswith("3 added, 0 updated, 0 removed, 0 unchanged, 1 skipped; ")
    assert "skipped docs/empty.txt: " in ran.err


@pytest.fixture
def old_files(monkeypatch):
    """Files count as written long ago, which is when an index relies on their time stamps."""
    monkeypatch.setattr("ingest.changes._RECENT", -60 * 10**9)


def test_prune_removes_what_is_gone(old_files, indexed, tmp_path):
    (tmp_path / "docs" / "leave.md").unlink()
    kept = indexed("index", "docs", "--json").json
    assert (kept["removed"], kept["gone"]) == ([], ["docs/leave.md"])
    pruned = indexed("index", "docs", "--prune", "--json").json
    assert (pruned["removed"], pruned["gone"]) == (["docs/leave.md"], [])


def test_index_names_the_files_that_are_gone_and_what_removes_their_documents(
    old_files, indexed, tmp_path
):
    (tmp_path / "docs" / "leave.md").unlink()
    assert indexed("index", "docs").out.splitlines()[1:] == [
        "1 file is gone, and its text is still in the index (docs/leave.md): --prune removes it"
    ]
    for i in range(5):
        (tmp_path / f"{i}.txt").write_text(f"Number {i}.")
    indexed("index", ".")
    for i in range(5):
        (tmp_path / f"{i}.txt").unlink()
    assert indexed("index", ".").out.splitlines()[1:] == [
        "6 files are gone, and their text is still in the index (0.txt, 1.txt, 2.txt and 3 more):"
        " --prune removes it"
    ]
    assert len(indexed("index", ".", "--prune").out.splitlines()) == 1


def test_prune_without_a_path_removes_whatever_is_gone(old_files, indexed, tmp_path):
    (tmp_path / "docs" / "leave.md").unlink()
    assert indexed("index", "--prune", "--json").json["removed"] == ["docs/leave.md"]
    nowhere = str(tmp_path / "nowhere")
    assert indexed("index", "--prune", "--index", nowhere).code == 1
    assert not Path(nowhere).exists()


def test_a_page_is_indexed_by_its_url_from_hosts_that_are_allowed(rag):
    with serving() as web:
        url = web.html("/ferry", "<p>The ferry leaves at 6:45.")
        refused = rag("index", url)
        assert refused.code == 1
        assert "127.0.0.1, which is not a public address" in refused.err
        assert rag("index", url, "docs", "--allow", web.host, "--json").json["added"][0] == url
    assert rag("search", "ferry", "-k", "1", "--json").json[0]["url"] == url
    assert rag("show", url + "#top").out == "The ferry leaves at 6:45."
    assert rag("rm", url).code == 0


def test_the_web_is_searched_when_asked_for_and_what_fails_is_said(indexed, generator):
    with serving() as web:
        web.pages["/search"] = (403, {}, b"")
        generator.replies = [NOT_FOUND]
        ran = indexed("ask", QUESTION, "--searxng", web.url("/"))
        assert (ran.code, web.asked) == (3, [])
        generator.replies = [quote_of(indexed, QUESTION, "Annual leave is 15 days.")]
        ran = indexed("ask", QUESTION, "--web", "--searxng", web.url("/"))
    assert ran.code == 0
    assert "the web could not be searched" in ran.err
    assert len(web.asked) == 1


def test_a_path_that_is_not_there_named_alone_is_an_error_and_leaves_no_index(rag):
    ran = rag("index", "nowhere", "*.docx")
    assert (ran.code, ran.out) == (1, "")
    assert "rag: nowhere: no such file or folder\n" in ran.err
    assert "rag: *.docx: no file matches this pattern\n" in ran.err
    assert not Path(".rag").exists()


def test_a_named_path_that_is_not_there_is_an_error_although_others_are_indexed(rag):
    ran = rag("index", "docs", "nowhere")
    assert ran.code == 1
    assert ran.out.startswith("3 added")
    assert "skipped nowhere: no such file or folder" in ran.err
    Path("docs/leave.md").unlink()
    assert rag("index", "docs/leave.md").code == 1
    assert rag("index", "docs", "docs/leave.md", "--prune").code == 0


def test_standard_input_can_be_indexed_under_a_name(rag):
    ran = rag(
        "index", "-", "--name", "notes/today.md", "--json", stdin="# Today\n\nRain at noon.\n"
    )
    assert ran.json["added"] == ["notes/today.md"]
    assert rag("show", "notes/today.md").out == "# Today\n\nRain at noon.\n"


def test_an_answer_is_printed_with_its_numbered_quotes(indexed, generator):
    generator.replies = [quote_of(indexed, QUESTION, "Annual leave is 15 days.")]
    ran = indexed("ask", QUESTION)
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "Annual leave is 15 days. [1]",
        "",
        '[1] docs/leave.md, "Leave" (9–33)',
        "    “Annual leave is 15 days.”",
    ]
    assert ran.err == ""


def test_the_prompt_can_be_seen_without_asking(indexed, generator):
    ran = indexed("ask", QUESTION, "--show-prompt")
    assert ran.code == 0
    assert ran.out.startswith("system:\nYou answer questions with quotations.")
    assert "Annual leave is 15 days." in ran.out
    assert ran.out.endswith(f"</passages>\n\nQuestion: {QUESTION}\n")
    assert generator.requests == []


def test_a_question_that_does_not_fit_is_an_error_about_the_question(
    indexed, generator, monkeypatch
):
    def submit(messages, **options):
        raise PromptTooLong("the prompt takes 9 tokens; x has 8: send fewer or shorter messages")

    monkeypatch.setattr(generator, "submit", submit)
    ran = indexed("ask", "word " * 5000)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "rag: the question is too long: ask it in fewer words"
        " (the prompt takes 9 tokens; x has 8)\n"
    )


def test_a_prompt_without_passages_says_that_no_model_is_asked(indexed):
    ran = indexed("ask", QUESTION, "--show-prompt", "--where", "source=nothing")
    assert ran.out == "Nothing was found, so no model is asked.\n"


def test_an_answer_as_json_points_into_what_show_prints(indexed, generator):
    generator.replies = [quote_of(indexed, QUESTION, "Annual leave is 15 days.")]
    answer = indexed("ask", QUESTION, "--json").json
    [citation] = answer["citations"]
    assert answer["answered"]
    assert citation["quote"] == "Annual leave is\n15 days."
    span = ("--start", str(citation["start"]), "--end", str(citation["end"]))
    assert indexed("show", citation["source"], *span).out == citation["quote"]
    assert indexed("show", citation["source"], *span, "--json").json == {
        "source": "docs/leave.md",
        "start": citation["start"],
        "end": citation["end"],
        "text": citation["quote"],
    }


def test_no_answer_has_its_own_exit_code_and_leaves_standard_output_alone(indexed, generator):
    generator.replies = [NOT_FOUND]
    ran = indexed("ask", "Who won the cup?")
    assert (ran.code, ran.out) == (3, "")
    assert "the documents do not contain the answer" in ran.err
    assert "looked in docs/" in ran.err
    generator.replies = [NOT_FOUND]
    ran = indexed("ask", "Who won the cup?", "--json")
    assert ran.code == 3
    assert (ran.json["answered"], ran.json["reason"]) == (False, "not_in_passages")


def test_documents_that_disagree_are_not_said_to_hold_nothing(indexed, generator, tmp_path):
    for name, days in (("new.md", 15), ("old.md", 12)):
        text = f"The notice period of the lease is {days} days.\n"
        (tmp_path / "docs" / name).write_text(text, encoding="utf-8")
    indexed("index", "docs")
    generator.replies = [NOT_FOUND]
    ran = indexed("ask", "How long is the notice period of the lease?")
    assert ran.code == 3
    assert ran.out.startswith("The documents disagree:\n")
    assert "no sure answer: the documents disagree" in ran.err
    assert "do not contain" not in ran.err


def test_search_shows_places_and_passages(indexed):
    ran = indexed("search", "annual leave", "-k", "1")
    assert ran.code == 0
    first, passage, *_ = ran.out.splitlines()
    assert first.startswith('1. docs/leave.md, "Leave" (')
    assert passage.strip().endswith("Annual leave is 15 days.")


@pytest.mark.parametrize("mode", ["hybrid", "vector", "words"])
def test_search_as_json_has_exactly_the_agreed_names(indexed, mode):
    [hit, *_] = indexed("search", "annual leave", "--mode", mode, "--json").json
    assert list(hit) == [
        "source",
        "page",
        "heading",
        "start",
        "end",
        "text",
        "score",
        "date",
        "url",
        "retrieved",
    ]
    assert hit["source"] == "docs/leave.md"
    assert LEAVE[hit["start"] : hit["end"]] == hit["text"]
    assert 0 <= hit["score"] <= 1


def test_a_search_that_finds_nothing_says_so(indexed):
    ran = indexed("search", "xyzzy", "--mode", "words")
    assert (ran.code, ran.out, ran.err) == (3, "", "rag: nothing was found\n")


@pytest.mark.parametrize("command", ["ask", "search"])
def test_a_filter_that_no_document_fits_is_said(indexed, command):
    ran = indexed(command, QUESTION, "--where", "source=elsewhere/*", "--json")
    assert ran.code == 3
    assert (ran.json if command == "search" else ran.json["passages"]) == []
    fitting = "rag: no document fits the filter source=elsewhere/*: "
    assert ran.err.startswith(fitting + "`rag status` lists their names, such as docs/café.txt\n")
    ran = indexed("search", "xyzzy", "--mode", "words", "--where", "source=docs/*")
    assert ran.err == "rag: nothing was found\n"


def test_several_filters_have_to_hold_together(indexed):
    where = ("--where", "source=docs/*", "--where", "media_type=text/markdown")
    found = indexed("search", "huit heures", *where, "--json").json
    assert [hit["source"] for hit in found] == ["docs/leave.md"]


def test_show_prints_exactly_the_text(indexed):
    assert indexed("show", "docs/café.txt").out == CAFE
    assert indexed("show", "docs/شحن.txt").out == SHIPPING


def test_show_says_when_a_document_ends_before_what_is_asked_for(indexed):
    ran = indexed("show", "docs/leave.md", "--start", str(len(LEAVE)))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"rag: docs/leave.md has {len(LEAVE)} characters, and none from 34 on\n"
    assert indexed("show", "docs/leave.md", "--start", "9", "--end", "9").code == 0


def test_status_lists_the_documents(indexed):
    facts = indexed("status", "--json").json
    assert list(facts) == ["index", "encoder", "documents", "chunks", "bytes"]
    assert [d["source"] for d in facts["documents"]] == [
        *("docs/café.txt", "docs/leave.md", "docs/شحن.txt")
    ]
    assert (facts["encoder"], facts["chunks"]) == ("builtin", 3)
    shown = indexed("status").out
    assert "docs/café.txt" in shown
    assert "documents  3, in 3 passages" in shown


def test_rm_removes_by_source_or_path_and_suggests_what_was_meant(indexed, monkeypatch, tmp_path):
    ran = indexed("rm", "docs/laeve.md")
    assert ran.code == 1
    assert "did you mean docs/leave.md?" in ran.err
    monkeypatch.chdir(tmp_path / "docs")
    assert indexed("rm", "leave.md", "--json").json == {"removed": ["docs/leave.md"]}
    assert indexed("rm", "docs/café.txt").out == "removed docs/café.txt\n"
    assert (tmp_path / "docs" / "leave.md").exists()


def test_the_index_is_found_by_option_variable_or_folder_above(indexed, monkeypatch, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    assert indexed("index", "docs/leave.md", "--index", str(elsewhere)).code == 0
    monkeypatch.chdir(tmp_path / "docs")
    assert indexed("status", "--json").json["index"] == str(tmp_path / ".rag")
    monkeypatch.setenv("RAG_INDEX", str(elsewhere))
    assert indexed("status", "--json").json["index"] == str(elsewhere)
    by_option = indexed("status", "--index", str(tmp_path / ".rag"), "--json").json
    assert by_option["index"] == str(tmp_path / ".rag")


@pytest.mark.parametrize(
    "command",
    [["ask", "x"], ["search", "x"], ["show", "x"], ["status"], ["rm", "x"]],
    ids=lambda command: command[0],
)
def test_without_an_index_every_command_names_the_one_that_makes_it(rag, command):
    ran = rag(*command)
    assert (ran.code, ran.out) == (1, "")
    assert "rag index PATH" in ran.err
    assert not Path(".rag").exists()


@pytest.mark.parametrize("command", ["ask", "search"])
def test_an_empty_index_is_an_error_that_names_the_command(rag, tmp_path, command):
    (tmp_path / "docs" / "none").mkdir()
    assert rag("index", "docs/none").code == 0
    ran = rag(command, "annual leave")
    assert (ran.code, ran.out) == (1, "")
    assert "is empty: add documents with `rag index PATH`" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask"],
        ["ask", "x", "--colour"],
        ["search", "x", "--mode", "magic"],
        ["search", "x", "-k", "0"],
        ["show", "x", "--start", "9", "--end", "3"],
        ["index"],
        ["aks", "x"],
    ],
)
def test_wrong_usage_has_its_own_exit_code(rag, arguments):
    ran = rag(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err


def test_a_misspelt_command_or_option_is_answered_with_the_nearest(rag):
    assert "ask" in rag("aks").err.partition("Error:")[2]
    assert "--where" in rag("ask", "x", "--wehre", "y").err.partition("Error:")[2]


def test_a_filter_that_cannot_be_read_is_a_plain_error(indexed):
    ran = indexed("search", "leave", "--where", "colour=red")
    assert ran.code == 1
    assert "colour" in ran.err


def test_a_folder_that_cannot_be_made_is_a_plain_error(rag, tmp_path):
    (tmp_path / "file").touch()
    ran = rag("index", "docs", "--index", str(tmp_path / "file" / "index"))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"rag: {tmp_path / 'file' / 'index'}: Not a directory\n"


def test_a_checkpoint_that_cannot_be_loaded_is_a_plain_error(indexed, monkeypatch):
    def broken(name, **_):
        raise CheckpointError(f"{name} is no checkpoint")

    monkeypatch.setattr("backbone.backbone.Backbone.load", broken)
    ran = indexed("ask", "leave", "--model", "some/folder")
    assert (ran.code, ran.out, ran.err) == (1, "", "rag: some/folder is no checkpoint\n")


def test_the_encoder_that_made_the_index_is_used_without_being_named_again(rag):
    assert rag("index", "docs", "--encoder", "other").code == 0
    assert rag("status", "--json").json["encoder"] == "other"
    assert rag("search", "annual leave").code == 0
    assert rag("index", "docs", "--json").json["unchanged"] == 3


def test_another_encoder_is_refused_with_the_command_that_changes_to_it(indexed):
    ran = indexed("index", "docs", "--encoder", "other")
    assert ran.code == 1
    assert "rag index --rebuild --encoder other" in ran.err
    assert indexed("index", "--rebuild", "--encoder", "other").code == 0
    assert indexed("status", "--json").json["encoder"] == "other"
    assert indexed("search", "annual leave", "--json").json[0]["source"] == "docs/leave.md"


def test_ctrl_c_keeps_what_is_committed(rag, monkeypatch):
    def stopped(self, roots, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr("rag.pipeline.Rag.index", stopped)
    ran = rag("index", "docs")
    assert ran.code == 130
    assert "is kept" in ran.err


def test_what_documents_hold_cannot_steer_the_terminal(rag, generator, tmp_path):
    (tmp_path / "evil.txt").write_text("Annual leave\x1b[2J\x1b]0;owned\x07 is 15 days.\n")
    rag("index", "evil.txt")
    shown = rag("search", "annual leave").out
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_the_reader_of_the_output_may_stop_reading():
    command = [sys.executable, "-c", "import cli; cli.main()", "--help"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, cwd=ROOT) as process:
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def test_help_takes_no_longer_than_twelve_bare_interpreters():
    """In processor time, which a busy machine does not stretch as much as the clock's."""
    resource = pytest.importorskip("resource")

    def seconds(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", code, "--help"]
        subprocess.run(command, capture_output=True, cwd=ROOT, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    bare = min(seconds("pass") for _ in range(5))
    assert min(seconds("import cli; cli.main()") for _ in range(5)) < 12 * bare


SCHEMA = {
    "type": "object",
    "properties": {"days": {"type": ["integer", "null"]}, "color": {"type": ["string", "null"]}},
}


def test_a_schema_gives_an_object_and_its_citations(indexed, generator, tmp_path):
    generator.abilities = frozenset({"chat", "quote", "schema"})
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    for flag in ([], ["--json"]):
        quote = quote_of(indexed, QUESTION, "15 days.")
        generator.replies = [quote, '{"days": 15, "color": "red"}']
        ran = indexed("ask", QUESTION, "--schema", "s.json", *flag)
        assert ran.code == 0
        data = ran.json["data"] if flag else json.loads(ran.out.partition("\n\n")[0])
        assert data == {"days": 15, "color": "red"}
        if not flag:
            assert "“15 days.”" in ran.out and "color: red" in ran.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "s.json: No such file"),
        ("{", "s.json is not JSON"),
        ("[]", "s.json holds no JSON schema"),
        ('{"type": "array", "uniqueItems": true}', "uniqueItems"),
    ],
)
def test_a_bad_schema_file_is_an_error_that_says_why(indexed, generator, tmp_path, text, message):
    generator.abilities = frozenset({"chat", "quote", "schema"})
    if text is not None:
        (tmp_path / "s.json").write_text(text, encoding="utf-8")
    ran = indexed("ask", QUESTION, "--schema", "s.json")
    assert (ran.code, ran.out) == (1, "")
    assert message in ran.err


ASKED = {"question": QUESTION, "answers": ["15 days"], "source": "docs/leave.md"}
QUESTIONS = f"{json.dumps(ASKED)}\n" + '{"question": "Who built the Eiffel Tower?"}\n'


@pytest.fixture
def questions(indexed, generator, tmp_path):
    """A test set of two questions, and what the generator has to say to get both right."""
    (tmp_path / "questions.jsonl").write_text(QUESTIONS, encoding="utf-8")
    generator.right = [quote_of(indexed, QUESTION, "15 days."), NOT_FOUND]
    return "questions.jsonl"


def test_eval_prints_a_table_and_a_regression_against_an_earlier_run_fails(
    indexed, generator, questions
):
    generator.replies = list(generator.right)
    first = indexed("eval", questions, "--save", "run.json", "--html", "report.html")
    assert first.code == 0
    assert "How long is annual leave?" in Path("report.html").read_text(encoding="utf-8")
    assert "2 questions, model fake" in first.out
    generator.replies = list(generator.right)
    again = indexed("eval", questions, "--baseline", "run.json")
    assert again.code == 0
    assert "no regression" in again.out
    generator.replies = [NOT_FOUND, NOT_FOUND]
    worse = indexed("eval", questions, "--baseline", "run.json")
    assert worse.code == 1
    assert "was right and is wrong:\n  line 1: How long is annual leave?" in worse.out
    generator.replies = [NOT_FOUND, NOT_FOUND]
    assert indexed("eval", questions, "--baseline", "run.json", "--tolerance", "1").code == 0


@pytest.mark.parametrize("option", ["--save", "--html"])
def test_eval_refuses_a_file_that_cannot_be_written_before_it_asks(
    indexed, generator, questions, option
):
    ran = indexed("eval", questions, option, "nowhere/run")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "rag: nowhere/run: there is no folder nowhere\n"
    assert generator.requests == []


def test_eval_as_json_has_every_question_and_the_comparison(indexed, generator, questions):
    generator.replies = list(generator.right)
    found = indexed("eval", questions, "--save", "run.json", "--json").json
    assert [q["answered"] for q in found["questions"]] == [True, False]
    assert found["comparison"] is None
    found = indexed("eval", questions, "--retrieval-only", "--baseline", "run.json", "--json").json
    assert found["comparison"]["compared"] == 2
    assert found["facts"]["model"] is None


def test_stopping_eval_prints_and_keeps_what_was_measured(
    indexed, generator, questions, monkeypatch
):
    replies = generator.right[:1]

    def reply(grammar):
        if not replies:
            raise KeyboardInterrupt
        return replies.pop()

    monkeypatch.setattr(generator, "reply", reply)
    ran = indexed("eval", questions, "--save", "run.json")
    assert ran.code == 130
    assert "1 question (stopped early)" in ran.out
    assert json.loads(Path("run.json").read_text(encoding="utf-8"))["complete"] is False


def test_eval_names_the_lines_that_are_wrong(indexed, tmp_path):
    (tmp_path / "questions.jsonl").write_text('{"question": "a", "sauce": "b"}\n{"question": 1}')
    ran = indexed("eval", "questions.jsonl")
    assert ran.code == 1
    assert "line 1: there is no field 'sauce': did you mean 'source'?" in ran.err
    assert "line 2: question must be a text" in ran.err
    assert indexed("eval", "absent.jsonl").code == 1
    assert indexed("eval", "q", "--baseline", "questions.jsonl").err == (
        "rag: questions.jsonl is no earlier run: keep one with `rag eval FILE --save RUN`\n"
    )


def test_eval_make_prints_lines_that_eval_reads(indexed, generator, tmp_path):
    (tmp_path / "docs/hours.txt").write_text(
        "The harbour library opens at 10:00 on every weekday in July.\n", encoding="utf-8"
    )
    assert indexed("index", "docs").code == 0
    generator.abilities = frozenset({"quote", "score"})
    made = indexed("eval", "--make", "3")
    assert made.code == 0
    assert "put them into your own words" in made.err
    [line] = made.out.splitlines()
    assert json.loads(line)["answers"] == ["10:00"]
    (tmp_path / "made.jsonl").write_text(made.out, encoding="utf-8")
    read = indexed("eval", "made.jsonl", "--retrieval-only", "--json").json
    assert read["measures"]["recall"]["mean"] == 1
    assert indexed("eval").code == 2
    assert indexed("eval", "made.jsonl", "--make", "3").code == 2


def test_eval_make_says_when_nothing_can_be_asked(indexed, generator):
    generator.abilities = frozenset({"quote", "score"})
    made = indexed("eval", "--make", "3")
    assert (made.code, made.out) == (1, "")
    assert "no sentence" in made.err
