"""`rag doctor`, `rag models`, and asking a model on a server: what is printed, and exit codes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from backbone.hub import Hub
from backbone.plan import GIB
from backbone.processor import Speed
from tests.backbone.checkpoints import write_checkpoint
from tests.backbone.played import PlayedHub
from tests.fakes import FakeEncoder
from tests.rag.played import PlayedModel, refused, said

LEAVE = "Annual leave is 15 days.\n"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs `rag` in an empty folder; the measurement is told, and so are keys."""
    speed = Speed(operations=1e12, bandwidth=1e11)
    monkeypatch.setattr("backbone.processor.bfloat16_is_fast", lambda: False)
    monkeypatch.setattr("rag.doctor.measure", lambda *_: speed)
    monkeypatch.setattr("ingest.encode.load_encoder", lambda name, threads=None: FakeEncoder(name))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    for name in ("RAG_INDEX", "RAG_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        result = CliRunner().invoke(cli.app, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


@pytest.fixture
def indexed(run):
    Path("docs").mkdir()
    Path("docs/leave.md").write_text(LEAVE)
    assert run("index", "docs").exit_code == 0
    return run


def test_doctor_without_an_index_says_how_to_make_one(run):
    ran = run("doctor")
    assert ran.exit_code == 0
    assert "processor" in ran.stdout
    assert "none here: make one with rag index PATH" in ran.stdout


def test_doctor_finds_a_sound_index_sound(indexed):
    ran = indexed("doctor")
    assert ran.exit_code == 0
    assert "1 document, 1 passage, encoder builtin" in ran.stdout
    assert "nothing is wrong with it" in ran.stdout


def test_doctor_names_the_command_that_cures_a_fault(indexed):
    Path(".rag/vectors.json").unlink()
    ran = indexed("doctor")
    assert ran.exit_code == 1
    assert "to cure it: rag search anything" in ran.stdout
    facts = json.loads(indexed("doctor", "--json").stdout)
    assert [fault["fix"] for fault in facts["index"]["faults"]] == ["rag search anything"]
    assert indexed("search", "anything").exit_code == 0
    assert indexed("doctor").exit_code == 0


def test_an_index_that_is_named_and_not_there_is_a_fault(run):
    ran = run("doctor", "--index", "nowhere")
    assert ran.exit_code == 1
    assert "to cure it: rag index PATH" in ran.stdout


def test_doctor_plans_the_largest_model_before_it_is_fetched(run):
    asked = ("doctor", "--model", "LFM2-24B-A2B", "--context", "32768", "--json")
    facts = json.loads(run(*asked).stdout)
    model = facts["model"]
    assert model["parameters"] == 23_843_661_440
    assert not model["here"]
    today = [s for s in model["seats"] if not s["planned"]]
    assert [(s["place"], s["agents"]) for s in today[1:]] == [
        ("a GPU of 80 GB", 44),
        ("a GPU of 141 GB", 141),
    ]
    assert {s["weights"] for s in model["seats"] if s["planned"]} == {"bfloat16", "fp8", "int4"}
    given = json.loads(run(*asked, "--memory", "139").stdout)["model"]["seats"][1]
    assert (given["memory"], given["agents"]) == (139 * GIB, 141)
    text = run(*asked[:-1]).stdout
    assert "141  weights bfloat16, cache bfloat16\n" in text
    assert "cache fp8, planned\n" in text


def test_speeds_are_estimates_from_what_was_measured(run):
    facts = json.loads(run("doctor", "--model", "LFM2-350M", "--context", "64", "--json").stdout)
    model = facts["model"]
    read = 4 * model["active_parameters"] + 64 * model["token_bytes"]
    assert model["writes"] == pytest.approx(1e11 / read)
    assert "bandwidth" in model["estimate"]


def test_doctor_refuses_what_nobody_knows(run):
    ran = run("doctor", "--model", "someone/something")
    assert ran.exit_code == 1
    assert "rag models pull someone/something" in ran.stderr
    ran = run("doctor", "--model", "lfm2-24b-a2")
    assert (ran.exit_code, "did you mean LiquidAI/LFM2-24B-A2B?" in ran.stderr) == (1, True)
    ran = run("doctor", "--model", "https://host/v1#a")
    assert (ran.exit_code, "runs on its server" in ran.stderr) == (1, True)


def test_models_are_listed_without_a_network(run):
    ran = run("models", "list")
    assert ran.exit_code == 0
    assert ran.stdout.startswith("on this machine\n  builtin")
    assert "LFM Open License v1.0" in ran.stdout
    listing = json.loads(run("models", "list", "--json").stdout)
    assert [model["name"] for model in listing["here"]] == ["builtin"]
    sizes = {model["name"]: model["bytes"] for model in listing["official"]}
    assert sizes["LiquidAI/LFM2-24B-A2B"] == 2 * 23_843_661_440


def test_a_name_that_cannot_be_pulled_is_a_plain_error(run):
    ran = run("models", "pull", "LFM2-1.2")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "did you mean LiquidAI/LFM2-1.2B?" in ran.stderr


def test_pulling_shows_the_licence_once_and_lists_what_came(run, monkeypatch, tmp_path):
    repository = write_checkpoint(tmp_path / "repository")
    (repository / "LICENSE").write_text("The terms\x1b[2J are these.\n")
    with PlayedHub(repository) as server:
        hub = Hub(endpoint=server.address, cache=tmp_path / "hub")
        monkeypatch.setattr("backbone.hub.Hub", lambda: hub)
        ran = run("models", "pull", "LFM2-350M")
        assert ran.exit_code == 0
        assert "LFM2-350M is in " in ran.stdout
        assert "comes under these terms: lfm1.0" in ran.stderr
        assert "The terms\ufffd[2J are these." in ran.stderr
        again = run("models", "pull", "LFM2-350M", "--json")
        assert (again.exit_code, again.stderr) == (0, "")
        path = json.loads(again.stdout)["path"]
    monkeypatch.setattr("rag.models.Hub", lambda: hub)
    listing = json.loads(run("models", "list", "--json").stdout)
    assert [(m["name"], m["path"]) for m in listing["here"][1:]] == [("LiquidAI/LFM2-350M", path)]
    assert [m["name"] for m in listing["official"] if m["here"]] == ["LiquidAI/LFM2-350M"]
    (Path(path) / "model.safetensors").unlink()
    assert "incomplete: rag models pull LiquidAI/LFM2-350M" in run("models", "list").stdout


def test_asking_a_model_on_a_server(indexed, monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.setenv("RAG_API_KEY", "ours")
    monkeypatch.setenv("OPENAI_API_KEY", "openai's")
    reply = '[1] "Annual leave is 15 days."\n[1] "Annual leave is 90 days."'
    with PlayedModel(said(reply)) as server:
        ran = indexed("ask", "How long?", "--model", f"{server.address}#tiny")
        assert server.requests[0][1]["authorization"] == "Bearer ours"
    assert ran.exit_code == 0
    assert ran.stdout.startswith("Annual leave is 15 days. [1]\n")
    assert "90" not in ran.stdout
    assert 'left out, since no passage holds it: [1] "Annual leave is 90 days."' in ran.stderr


def test_the_key_for_openai_goes_to_openai_alone(indexed, monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "openai's")
    keys = []
    opened = "rag.remote.RemoteGenerator.open"
    monkeypatch.setattr(opened, lambda name, key=None, **_: keys.append(key) or "builtin")
    cli.writer("https://api.openai.com/v1#gpt", None, plain_http=False)
    cli.writer("https://api.example.com/v1#gpt", None, plain_http=False)
    assert keys == ["openai's", None]


def test_what_a_server_refuses_is_a_plain_error(indexed):
    pytest.importorskip("openai")
    with PlayedModel(refused(401, "who are you")) as server:
        ran = indexed("ask", "How long?", "--model", f"{server.address}#tiny")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "who are you" in ran.stderr
    assert "RAG_API_KEY" in ran.stderr
    ran = indexed("ask", "How long?", "--model", "http://192.168.0.9/v1#tiny")
    assert (ran.exit_code, "--plain-http" in ran.stderr) == (1, True)
