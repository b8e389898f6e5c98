"""Check an answer of `rag ask --json`: it has citations, and each is verbatim in `rag show`.

Usage: verify_answer.py RAG ANSWER.json
"""

import json
import subprocess
import sys
from pathlib import Path


def main(rag: str, answer_file: str) -> int:
    """Return 0 when every citation is a quote of the document it names."""
    answer = json.loads(Path(answer_file).read_text(encoding="utf-8"))
    if not answer["answered"] or not answer["citations"]:
        sys.exit(f"not answered: {answer}")
    for citation in answer["citations"]:
        start, end = str(citation["start"]), str(citation["end"])
        command = [rag, "show", citation["source"], "--start", start, "--end", end]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if shown.rstrip("\n") != citation["quote"]:
            sys.exit(f"{citation['quote']!r} is not what the document says there: {shown!r}")
    print(f"{answer['text']!r} is quoted from {answer['citations'][0]['source']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
