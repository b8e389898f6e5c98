"""Index the sample documents and ask them questions, through the `rag` command as a user would.

Run by `make demo`. Knows nothing of the library: every line it shows comes from the command line.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RAG = Path(sys.executable).with_name("rag")
ASKED = 5  # of the questions that have an answer; the last question has none

ANSWERED, DECLINED = 0, 3


def rag(*arguments: str) -> int:
    """Show a `rag` command, run it in the folder above, and return its exit code."""
    shown = " ".join(f'"{word}"' if " " in word else word for word in arguments)
    print(f"\n$ rag {shown}", flush=True)
    environment = {**os.environ, "RAG_INDEX": ".demo"}
    return subprocess.run([RAG, *arguments], cwd=HERE.parent, env=environment).returncode


def main() -> int:
    """Index and ask. Returns 0 unless a command failed; having no answer is not a failure."""
    if code := rag("index", "examples/documents"):
        return code
    lines = (HERE / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    for question in questions[:ASKED]:
        code = rag("ask", question)
        if code not in (ANSWERED, DECLINED):
            return code
    code = rag("ask", questions[-1])
    if code == DECLINED:
        print("(exit code 3, as it should be: the documents do not say)")
    return 0 if code in (ANSWERED, DECLINED) else code


if __name__ == "__main__":
    sys.exit(main())
