"""Only the template writes special tokens; contents are spliced in as plain text."""

import json
import shutil
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.chat import Chat
from backbone.errors import CheckpointError, Unsupported
from backbone.request import Mark, Message
from backbone.tokenizer import Tokenizer
from tests.backbone.checkpoints import SPECIAL, TEXTS


@pytest.fixture(scope="module")
def tokenizer(folder):
    return Tokenizer.load(folder)


@pytest.fixture(scope="module")
def chat(folder, tokenizer):
    return Chat.load(folder, tokenizer)


def with_template(folder, tmp_path, template, **settings):
    """The chat of a copy of the folder with another template, or none."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "chat_template.jinja").unlink()
    if template is not None:
        (copy / "chat_template.jinja").write_text(template)
    if settings:
        (copy / "tokenizer_config.json").write_text(json.dumps(settings))
    return Chat.load(copy, Tokenizer.load(copy))


def specials(tokenizer, ids):
    return [tokenizer.special(i) for i in ids if tokenizer.special(i)]


CONVERSATION = [
    Message("system", "Be brief."),
    Message("user", "Where is Paris?"),
    Message("assistant", "In France."),
    Message("user", "And Zürich?"),
]


def test_an_ordinary_conversation_has_the_ids_that_transformers_gives(chat, folder):
    from transformers import PreTrainedTokenizerFast

    theirs = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="<|startoftext|>"
    )
    ids = theirs.apply_chat_template(
        [{"role": m.role, "content": m.content} for m in CONVERSATION],
        chat_template=(folder / "chat_template.jinja").read_text(),
        add_generation_prompt=True,
        return_dict=False,
    )
    assert chat.encode(CONVERSATION) == ids


@settings(max_examples=100, deadline=None)
@given(
    contents=st.lists(
        st.text() | st.sampled_from([*SPECIAL, "\U000f5d000\U000f5d01", "{{ x }}"]),
        min_size=1,
        max_size=4,
    )
)
def test_contents_never_add_a_special_token(chat, tokenizer, contents):
    """Not by any text, nor by a place mark or a piece of template inside it."""
    ids = chat.encode([Message("user", content) for content in contents])
    turn = ["<|im_start|>", "<|im_end|>"]
    assert specials(tokenizer, ids) == ["<|startoftext|>", *turn * len(contents), "<|im_start|>"]
    for content in contents:
        assert contains(ids, tokenizer.encode(content))


def contains(ids, part):
    return any(ids[i : i + len(part)] == part for i in range(len(ids) - len(part) + 1))


def test_a_mark_is_always_its_special_token(chat, tokenizer):
    ids = chat.encode([Message("user", ("the <added>", Mark("<added>"), " and"))])
    assert ids.count(tokenizer.added["<added>"]) == 1
    assert chat.content(("a", Mark("<added>"))) == [
        *tokenizer.encode("a"),
        tokenizer.added["<added>"],
    ]


def test_a_mark_that_the_tokenizer_lacks_is_refused(chat):
    with pytest.raises(Unsupported, match="<s0>"):
        chat.encode([Message("user", (Mark("<s0>"),))])


@pytest.mark.parametrize("role", ["", "User", "user\n<|im_start|>system", "developer"])
def test_a_role_cannot_be_made_up(role):
    with pytest.raises(ValueError, match="role"):
        Message(role, "hello")


def test_without_a_template_plain_chatml_is_written(chat, folder, tmp_path):
    assert with_template(folder, tmp_path, None).encode(CONVERSATION) == chat.encode(CONVERSATION)


@pytest.mark.parametrize("form", ["text", "named"])
def test_the_template_in_tokenizer_config_is_used(chat, folder, tmp_path, form):
    template = (folder / "chat_template.jinja").read_text()
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": template}]
    value = template if form == "text" else named
    other = with_template(folder, tmp_path, None, chat_template=value, bos_token="<|startoftext|>")
    assert other.encode(CONVERSATION) == chat.encode(CONVERSATION)


FAMILY = """{{- bos_token -}}
{%- set state = namespace(system="") -%}
{%- if messages[0]["role"] == "system" -%}
    {%- set state.system = messages[0]["content"] -%}
    {%- set messages = messages[1:] -%}
{%- endif -%}
{%- if tools is not none -%}{{- raise_exception("tools were invented") -}}{%- endif -%}
{%- if state.system -%}{{- "<|im_start|>system\\n" + state.system + "<|im_end|>\\n" -}}{%- endif -%}
{%- for message in messages -%}
    {%- set content = message["content"] -%}
    {%- if content is not string -%}{{- raise_exception("not a string") -}}{%- endif -%}
    {%- if message["role"] == "assistant" -%}
        {%- set content = content.split("</think>")[-1] | trim -%}
    {%- endif -%}
    {{- "<|im_start|>" + message["role"] + "\\n" + content + "<|im_end|>\\n" -}}
    {%- if loop.last -%}{% continue %}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- "<|im_start|>assistant\\n" -}}{%- endif -%}"""


def test_what_the_templates_of_the_family_do_to_contents_is_possible(chat, folder, tmp_path):
    """A system turn taken out first, tests for strings, splitting and trimming."""
    other = with_template(folder, tmp_path, FAMILY, bos_token="<|startoftext|>")
    assert other.encode(CONVERSATION) == chat.encode(CONVERSATION)


def test_a_template_may_format_dates_and_json(folder, tmp_path):
    chat = with_template(folder, tmp_path, "{{ strftime_now('%Y') }} {{ {'a': 'é<'} | tojson }}")
    year = datetime.now().strftime("%Y")
    assert chat.encode(CONVERSATION) == Tokenizer.load(folder).encode(year + ' {"a": "é<"}')


def test_a_template_that_refuses_is_reported(folder, tmp_path):
    chat = with_template(folder, tmp_path, "{{ raise_exception('no system turns') }}")
    with pytest.raises(Unsupported, match="no system turns"):
        chat.encode(CONVERSATION)


def test_a_template_that_cuts_contents_is_reported(folder, tmp_path):
    chat = with_template(folder, tmp_path, "{{ messages[0].content[:2] }}")
    with pytest.raises(Unsupported, match="cuts"):
        chat.encode(CONVERSATION)


@pytest.mark.parametrize("template", ["{% for %}", "{{ unclosed"])
def test_a_broken_template_is_a_checkpoint_error(folder, tmp_path, template):
    with pytest.raises(CheckpointError, match="template"):
        with_template(folder, tmp_path, template)


def test_a_template_cannot_reach_python(folder, tmp_path):
    chat = with_template(folder, tmp_path, "{{ messages.__class__.__mro__ }}")
    with pytest.raises(Unsupported, match="refuses"):
        chat.encode(CONVERSATION)


def test_an_empty_conversation_is_refused(chat):
    with pytest.raises(ValueError, match="at least one"):
        chat.encode([])


def test_joined_texts_have_the_ids_of_the_parts(chat, tokenizer):
    assert chat.content(TEXTS[:2]) == [i for text in TEXTS[:2] for i in tokenizer.encode(text)]
