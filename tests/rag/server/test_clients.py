"""The snippets of docs/server.md run with the real clients, unmodified but for the base URL.

The model has random weights: what it says is noise, but its calls and its JSON must parse.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backbone.checkpoints import write_checkpoint
from tests.rag.server.test_serving import CODE, serving

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
DOCS = (ROOT / "docs/server.md").read_text(encoding="utf-8")
BASE = "http://127.0.0.1:8000"
SAYS = {"chat", "stream", "tool", "schema", "embeddings"}


def snippet(heading, language):
    found = re.search(
        rf"^### {heading}\n\n```{language}\n(.*?)^```", DOCS, re.DOTALL | re.MULTILINE
    )
    assert found, f"docs/server.md has no snippet under {heading}"
    return found[1]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    write_checkpoint(folder / "model", max_position_embeddings=8192)
    shutil.copytree(ROOT / "examples/documents", folder / "documents")
    subprocess.run([sys.executable, "-c", CODE, "index", "documents"], cwd=folder, check=True)
    with serving("--model", "model", "--name", "lfm2", cwd=folder) as (_, url):
        yield url


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The environment of a Python that has the clients, installed apart where they are missing."""
    try:
        import openai  # noqa: F401
        import together  # noqa: F401
    except ImportError:
        folder = tmp_path_factory.mktemp("clients")
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
        done = subprocess.run([*install, "openai", "together"], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"the Python clients cannot be installed: {done.stderr[-300:]}")
        return {"PYTHONPATH": str(folder)}
    return {}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A folder with the clients from npm."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"type": "module"}')
    packages = ["openai@6", "together-ai", "typescript@5"]
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent", *packages]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the npm clients cannot be installed: {(done.stderr or done.stdout)[-300:]}")
    return folder


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def said(printed):
    return set(re.findall(r"^(\w+): .*\S", printed, re.MULTILINE))


@pytest.mark.parametrize("client", ["openai", "together"])
def test_the_python_snippets_run(url, python, client):
    code = snippet(f"Python: {client}", "python").replace(BASE, url)
    assert said(run([sys.executable, "-c", code], env={**os.environ, **python})) >= SAYS


@pytest.mark.parametrize("client", ["openai", "together-ai"])
def test_the_typescript_snippets_compile_and_run(url, node, client):
    (node / f"{client}.ts").write_text(
        snippet(f"TypeScript: {client}", "typescript").replace(BASE, url)
    )
    options = ["--module", "nodenext", "--target", "es2022", "--strict", "--skipLibCheck"]
    run(["npx", "tsc", *options, f"{client}.ts"], cwd=node)
    assert said(run(["node", f"{client}.js"], cwd=node)) >= SAYS


def test_the_curl_snippets_run(url):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    lines = snippet("curl", "bash").replace(BASE, url)
    printed = run(["bash", "-ec", lines.replace("curl ", "curl --fail -sS ")])
    assert printed.count('"chat.completion"') == 3
    assert "data: [DONE]" in printed
    assert '"get_weather"' in printed
    assert re.search(r'\{\\"stars\\": [1-5]\}', printed)
    assert '"embedding"' in printed
    assert '"question":"Who patented the typewriter in 1868?"' in printed


def test_the_official_models_list_reads_ours(url, python):
    code = f"""
from openai import OpenAI
print([m.id for m in OpenAI(base_url="{url}/v1", api_key="x").models.list()])
"""
    printed = run([sys.executable, "-c", code], env={**os.environ, **python})
    assert "lfm2" in printed and "ragbone" in printed


def test_openais_streaming_helpers_read_our_events(url, python):
    code = f"""
from openai import OpenAI
client = OpenAI(base_url="{url}/v1", api_key="x")
with client.responses.stream(model="lfm2", input="hi", max_output_tokens=30) as stream:
    events = list(stream)  # the reply may be cut, where the helper knows no final response
text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
assert text == events[-1].response.output_text, (text, events[-1])
tool = {{"type": "function", "name": "f", "strict": True, "parameters": {{"type": "object",
    "properties": {{"n": {{"type": "integer", "minimum": 1, "maximum": 9}}}},
    "required": ["n"], "additionalProperties": False}}}}
with client.responses.stream(
    model="lfm2", input="hi", tools=[tool], tool_choice="required", max_output_tokens=300
) as stream:
    stream.until_done()
    final = stream.get_final_response()
call = final.output[-1]
second = client.responses.create(
    model="lfm2", previous_response_id=final.id, max_output_tokens=20,
    input=[{{"type": "function_call_output", "call_id": o.call_id, "output": "ok"}}
           for o in final.output if o.type == "function_call"])
with client.chat.completions.stream(
    model="lfm2", messages=[{{"role": "user", "content": "hi"}}], max_tokens=30
) as stream:
    said = [event.delta for event in stream if event.type == "content.delta"]
assert said
print("OK", call.type, second.status)
"""
    assert "OK function_call" in run([sys.executable, "-c", code], env={**os.environ, **python})
