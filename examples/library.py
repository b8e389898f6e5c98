"""The library in one page: index the sample documents, search them, ask them, check the quotes.

    python examples/library.py

Works in a temporary folder and leaves nothing behind.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from rag import Rag

DOCUMENTS = Path(__file__).parent / "documents"


def main() -> None:
    """Index, search, ask."""
    with TemporaryDirectory() as folder, Rag.open(Path(folder) / ".rag") as rag:
        report = rag.index([DOCUMENTS])
        print(f"{len(report.added)} documents in {report.chunks} passages")

        print("\nSearch: the passages nearest to a query")
        for hit in rag.search("When does the last boat leave?", k=2):
            print(f"  {hit.score:.2f}  {Path(hit.chunk.source).name}, character {hit.chunk.start}")

        print("\nAsk: an answer, as it comes, and its quotes")
        answer = rag.stream("Who patented the typewriter in 1868?")
        for piece in answer:
            print(" ", piece)
        for citation in answer.result().citations:
            document = rag.text(citation.source)
            assert document[citation.start : citation.end] == citation.quote
            print(f"  [{citation.number}] {Path(citation.source).name}, page {citation.page}")

        print("\nNo answer: and why there is none")
        print(" ", rag.ask("In which year was the Eiffel Tower completed?").reason)


if __name__ == "__main__":
    main()
