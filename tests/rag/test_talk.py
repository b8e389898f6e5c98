"""What lines at the prompt of `rag chat` do."""

import pytest

from ingest.addresses import Addresses
from ingest.errors import UnknownSource
from ingest.fetch import Fetcher
from rag import Chat, Rag, Unsupported
from rag.draft import AnswerStream
from rag.ground import NOT_FOUND
from rag.talk import HELP, Talk
from tests.fakes import FakeEncoder, FakeGenerator, FakeSearch
from tests.ingest.web import serving

CACHE = "# Cache\n\nKeys and values take\n12 KB per token.\n\n# Weights\n\nWeights take 2 GB.\n"
REPLY = '[1] "values take 12 KB per token."'


@pytest.fixture
def talk(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "cache.md").write_text(CACHE, encoding="utf-8")
    with Rag.open(tmp_path / ".rag", generator=FakeGenerator(), encoder=FakeEncoder()) as rag:
        rag.index([tmp_path / "docs"])
        rag.generator.replies = [REPLY, NOT_FOUND]
        yield Talk(rag, rag.chat(), width=None, bold=lambda text: f"*{text}*")


def ask(talk, question="values per token"):
    heard = talk.hear(question)
    assert isinstance(heard, AnswerStream)
    return heard.result()


def test_a_line_is_a_question_unless_it_begins_with_a_slash(talk):
    assert ask(talk, "  values per token ").question == "values per token"
    assert talk.hear("  ") == ""
    assert len(talk.chat.turns) == 1


def test_help_names_every_command_and_every_command_is_known(talk):
    assert talk.hear("/help") == HELP
    for name in [line.split()[0] for line in HELP.splitlines() if line.startswith("/")]:
        try:
            talk.hear(name)
        except ValueError as error:
            assert "there is no" not in str(error)


def test_an_unknown_command_is_explained(talk):
    with pytest.raises(ValueError, match=r"no /source: did you mean /sources\?"):
        talk.hear("/source")
    with pytest.raises(ValueError, match=r"no /xyzzy: /help lists"):
        talk.hear("/xyzzy now")


def test_sources_and_passages_of_the_last_answer_are_shown(talk):
    answer = ask(talk)
    assert "docs/cache.md" in talk.hear("/sources")
    shown = talk.hear("/show 1")
    [citation] = answer.citations
    assert shown.startswith('docs/cache.md, "Cache" (')
    assert f"*{citation.quote}*" in shown
    assert "Keys and *values" in shown


def test_what_was_not_quoted_cannot_be_shown(talk):
    for line in ("/sources", "/show 1"):
        with pytest.raises(ValueError, match="nothing was asked yet"):
            talk.hear(line)
    ask(talk)
    for line in ("/show", "/show 2", "/show 0", "/show one"):
        with pytest.raises(ValueError, match="from 1 to 1"):
            talk.hear(line)
    ask(talk, "Who won the cup?")
    assert talk.hear("/sources") == "the last answer quotes nothing"
    with pytest.raises(ValueError, match="has none"):
        talk.hear("/show 1")


def test_a_quote_whose_document_has_changed_is_not_shown_as_if_it_stood_there(talk, tmp_path):
    ask(talk)
    (tmp_path / "docs" / "cache.md").write_text("# Cache\n\nNothing.\n", encoding="utf-8")
    rag = talk._rag
    rag.index([tmp_path / "docs"])
    with pytest.raises(ValueError, match="has changed since"):
        talk.hear("/show 1")
    rag.remove(["docs/cache.md"])
    with pytest.raises(UnknownSource):
        talk.hear("/show 1")


def test_a_filter_holds_until_it_is_taken_away(talk):
    assert "docs/a*" in talk.hear("/where source=docs/a*")
    assert ask(talk).reason == "nothing_found"
    with pytest.raises(ValueError, match="color"):
        talk.hear("/where color=red")
    assert talk.chat.where == "source=docs/a*"
    talk.hear("/where")
    assert ask(talk).answered


def test_the_web_is_searched_from_when_it_is_switched_on_if_it_can_be(talk, monkeypatch):
    with pytest.raises(Unsupported, match=r"open with web=…"):
        talk.hear("/web on")
    assert talk.chat.web is False
    monkeypatch.setattr(talk._rag, "web", FakeSearch())
    talk.hear("/web on")
    assert talk.chat.web is True
    talk.hear("/web off")
    assert talk.chat.web is False
    with pytest.raises(ValueError, match="on or off"):
        talk.hear("/web maybe")


def test_a_quote_of_a_page_that_is_not_in_the_index_is_shown_in_its_passage(talk, monkeypatch):
    with serving() as web:
        page = web.html("/keys", "<h1>Keys</h1><p>Values per token take 12 KB. They are kept.")
        fetcher = Fetcher(addresses=Addresses(frozenset({web.host})))
        monkeypatch.setattr(talk._rag, "web", FakeSearch(page))
        monkeypatch.setattr(talk._rag, "_fetcher", fetcher)
        talk.hear("/web on")
        talk._rag.generator.replies = ['[1] "Values per token take 12 KB."']
        answer = ask(talk)
    assert answer.citations[0].url == page
    shown = talk.hear("/show 1")
    assert "*Values per token take 12 KB.* They are kept." in shown


def test_a_saved_conversation_is_gone_on_with(talk, tmp_path):
    ask(talk)
    path = tmp_path / "my talk.jsonl"
    assert "my talk.jsonl" in talk.hear(f"/save {path}")
    assert [t.question for t in Chat.load(path, talk._rag).turns] == ["values per token"]
    with pytest.raises(ValueError, match="name of a file"):
        talk.hear("/save")
    with pytest.raises(OSError, match="missing"):
        talk.hear(f"/save {tmp_path}/missing/talk.jsonl")


def test_a_new_conversation_forgets_what_was_said_and_keeps_the_settings(talk):
    talk.hear("/where source=docs/*")
    ask(talk)
    talk.hear("/new")
    assert talk.chat.turns == ()
    assert talk.chat.where == "source=docs/*"


def test_what_documents_hold_cannot_steer_the_terminal(talk, monkeypatch):
    ask(talk)
    evil = talk._rag.text("docs/cache.md").replace("Keys", "\x1b[2J")
    monkeypatch.setattr(talk._rag, "text", lambda source: evil)
    assert "\ufffd[2J and" in talk.hear("/show 1")


def test_quit_leaves(talk):
    assert not talk.over
    assert talk.hear("/quit") == ""
    assert talk.over
