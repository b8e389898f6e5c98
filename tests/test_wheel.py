"""What a stranger gets who installs the wheel."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("rag", "ingest", "backbone")
LARGEST = 100_000_000  # bytes

pytestmark = pytest.mark.slow


def product_files() -> set[str]:
    """All that belongs in the wheel, as paths below the root."""
    paths = (path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file())
    names = {path.relative_to(ROOT).as_posix() for path in paths if "__pycache__" not in path.parts}
    return {"cli.py", *names}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy: a build leaves folders behind that would spoil the next one."""
    copy = tmp_path_factory.mktemp("clone")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in product_files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", "dist", "."]
    subprocess.run(command, cwd=copy, check=True)
    return next((copy / "dist").glob("*.whl"))


def test_the_wheel_holds_the_product_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if ".dist-info/" not in name} == product_files()
    assert any(name.endswith("/LICENSE") for name in names)


def test_the_wheel_is_small_enough_to_be_uploaded(wheel):
    assert wheel.stat().st_size < LARGEST


def test_the_wheel_answers_away_from_the_clone(wheel, tmp_path):
    installed, work = tmp_path / "installed", tmp_path / "work"
    work.mkdir()
    zipfile.ZipFile(wheel).extractall(installed)
    shutil.copy(ROOT / "examples/documents/word-processors.en.pdf", work)

    def rag(*arguments: str) -> str:
        code = f"""
import sys
sys.path.insert(0, {str(installed)!r})
import cli
assert cli.__file__.startswith({str(installed)!r})
cli.main()"""
        command = [sys.executable, "-c", code, *arguments]
        environment = {**os.environ, "RAG_INDEX": str(work / ".rag")}
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    rag("index", ".")
    answer = json.loads(rag("ask", "--json", "Who patented the typewriter in 1868?"))
    (citation,) = answer["citations"]
    assert "Christopher Latham Sholes" in citation["quote"]
    span = ["--start", str(citation["start"]), "--end", str(citation["end"])]
    assert rag("show", "word-processors.en.pdf", *span) == citation["quote"]
