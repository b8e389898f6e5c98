"""The rules that keep the packages apart, checked on the source files themselves."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("rag", "ingest", "backbone")
MAY_IMPORT = {  # besides itself
    "cli": {"rag", "ingest", "backbone"},
    "rag": {"ingest", "backbone"},
    "ingest": set(),
    "backbone": set(),
}
WITHOUT_TORCH = ("backbone/request.py", "backbone/scheduler.py", "backbone/chat.py")
HEAVY = {
    *("torch", "numpy", "faiss", "tantivy", "xberg", "pypdfium2", "llguidance", "fastapi"),
    *("sentence_transformers", "transformers", "tokenizers", "huggingface_hub", "openai"),
}
LONGEST = 450  # lines a product file may have
LONGEST_CLI = 800  # and the one that holds every command


def product_files() -> dict[str, ast.Module]:
    """The syntax tree of every file that is installed, by its path below the root."""
    paths = [ROOT / "cli.py", *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))]
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(paths)
    }


FILES = product_files()


def owner(name: str) -> str:
    return name.removesuffix(".py").split("/")[0]


def imported(tree: ast.Module) -> set[str]:
    """The top-level names of all that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


def prints(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "print"


def reads_the_environment(node: ast.AST) -> bool:
    names = {"environ", "environb", "getenv", "putenv"}
    if isinstance(node, ast.Attribute):
        return node.attr in names
    return isinstance(node, ast.ImportFrom) and any(alias.name in names for alias in node.names)


def lines_where(tree: ast.Module, guilty) -> Iterator[int]:
    return (node.lineno for node in ast.walk(tree) if guilty(node))


def test_imports_point_only_downwards():
    wrong = {
        name: sorted(upwards)
        for name, tree in FILES.items()
        if (upwards := imported(tree) & MAY_IMPORT.keys() - MAY_IMPORT[owner(name)] - {owner(name)})
    }
    assert not wrong


def test_wording_and_policy_never_touch_tensors():
    names = [name for name in FILES if owner(name) == "rag" or name in WITHOUT_TORCH]
    assert not [name for name in names if "torch" in imported(FILES[name])]


def test_every_library_that_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needs = [*project["dependencies"], *extras["server"], *extras["remote"], *extras["mcp"]]
    declared = {re.split(r"[^\w.-]", need)[0].lower() for need in needs}
    providers = packages_distributions()
    libraries = set.union(*map(imported, FILES.values())) - sys.stdlib_module_names
    undeclared = {
        library
        for library in libraries - MAY_IMPORT.keys()
        if not declared & {name.lower().replace("_", "-") for name in providers.get(library, [])}
    }
    assert not undeclared


def test_every_module_says_what_it_is_for():
    assert not [name for name, tree in FILES.items() if not ast.get_docstring(tree)]


@pytest.mark.parametrize("guilty", [prints, reads_the_environment])
def test_only_the_command_line_prints_and_reads_the_environment(guilty):
    wrong = [
        f"{name}:{line}"
        for name, tree in FILES.items()
        for line in lines_where(tree, guilty)
        if name != "cli.py"
    ]
    assert not wrong


def test_no_file_outgrows_its_purpose():
    lengths = {name: (ROOT / name).read_text(encoding="utf-8").count("\n") for name in FILES}
    limits = {"cli.py": LONGEST_CLI}
    assert not {name: n for name, n in lengths.items() if n > limits.get(name, LONGEST)}


def loaded_by(code: str) -> set[str]:
    """The heavy libraries that a fresh interpreter holds after running `code`."""
    code += "\nimport sys; print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return HEAVY & set(done.stderr.split())


@pytest.mark.parametrize("name", ["rag", "ingest", "backbone", "cli"])
def test_importing_a_package_loads_nothing_heavy(name):
    assert not loaded_by(f"import {name}")


def test_asking_for_help_loads_nothing_heavy():
    help_without_exit = """
import sys, cli
sys.argv = ["rag", "--help"]
try:
    cli.main()
except SystemExit:
    pass"""
    assert not loaded_by(help_without_exit)
