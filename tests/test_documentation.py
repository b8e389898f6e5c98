"""What the documentation says is there, is there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAP = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
LIBRARY = (ROOT / "docs/library.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rag(*arguments: str, cwd: Path = ROOT) -> str:
    """What the command prints, on either stream, on a wide terminal."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import cli; cli.main()"
    command = [sys.executable, "-c", code, *arguments]
    wide = {"COLUMNS": "200", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command, cwd=cwd, env=wide, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.stdout.decode("utf-8")


def help_of(*command: str) -> str:
    return rag(*command, "--help")


def commands_of(help_text: str) -> set[str]:
    return set(re.findall(r"^  (\w+)\b", help_text.partition("Commands:")[2], re.MULTILINE))


def sections() -> dict[str, str]:
    """The text under each `## rag COMMAND` of docs/cli.md."""
    parts = re.split(r"^## `rag (\w+)[^\n]*$", COMMANDS, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def options_of(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def test_the_map_names_every_module():
    there = {
        path.name for name in ("rag", "ingest", "backbone") for path in (ROOT / name).rglob("*.py")
    }
    named = set(re.findall(r"`(\w+\.py)`", MAP))
    assert there - named - {"__init__.py"} == set()
    assert named - there - {"cli.py"} == set()


def test_the_commands_described_are_the_commands_there_are():
    assert set(sections()) == commands_of(help_of())


@pytest.mark.parametrize("command", sorted(sections()))
def test_each_command_has_the_options_described_and_no_others(command):
    there = options_of(help_of(command)) - {"--help"}
    assert options_of(sections()[command]) | {"--index", "--json", "--verbose"} >= there
    assert options_of(sections()[command]) <= there


def test_the_commands_in_the_readme_exist():
    shown = re.findall(r"(?:^\$ |`)rag (\w+)", README, re.MULTILINE)
    assert shown
    assert set(shown) <= commands_of(help_of())


@pytest.mark.slow
def test_the_python_in_the_readme_runs(tmp_path, capsys, monkeypatch):
    shutil.copytree(ROOT / "examples/documents", tmp_path / "library")
    monkeypatch.chdir(tmp_path)
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(block, "README.md", "exec"), {})
    assert "Christopher Latham Sholes" in capsys.readouterr().out


@pytest.mark.slow
def test_the_transcript_in_the_readme_is_what_the_command_prints(tmp_path):
    shutil.copytree(ROOT / "examples/documents", tmp_path / "examples/documents")
    rag("index", "examples/documents", cwd=tmp_path)
    shown = re.findall(r'^\$ rag ask "(.*)"\n((?:(?!\$|```).*\n)+)', README, re.MULTILINE)
    assert len(shown) >= 3
    for question, lines in shown:
        printed = rag("ask", question, cwd=tmp_path)
        assert set(lines.splitlines()) <= {"", *printed.splitlines()}


@pytest.mark.slow
def test_the_evaluation_described_is_what_the_command_prints(tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    rag("index", "examples/documents", cwd=tmp_path)
    printed = rag("eval", "examples/questions.jsonl", cwd=tmp_path)
    page = (ROOT / "docs/eval.md").read_text(encoding="utf-8")
    shown = page.partition("$ rag eval examples/questions.jsonl\n")[2].partition("\nseconds")[0]
    assert shown.strip()
    assert printed.startswith(shown)


def test_the_methods_described_are_methods():
    from rag import Rag

    rows = re.findall(r"^\| (`.*?) \|", LIBRARY, re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`(\w+)\(", row)}
    assert {"index", "search", "ask"} <= names
    assert not [name for name in names if not hasattr(Rag, name)]


def test_links_between_the_pages_lead_somewhere():
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]
    dead = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:\s]+)[^):]*\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not dead
