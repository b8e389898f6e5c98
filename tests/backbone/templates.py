"""Chat templates in the forms that the LFM2 family has, written from their description.

A: LFM2 of 2025, writes no calls. A2: its refresh. B: the 24B. B_OLD: as it was without calls.
C: LFM2.5, strings as they are. C_DATED: the 8B. D: the 2.6B, which always thinks.
"""

from __future__ import annotations

_TURN = "'<|im_start|>' + message['role'] + '\\n'"

# {list_start} and {list_end} stand around the tools; `system` is the text of the system turn.
_SYSTEM = """\
{{- bos_token -}}
{%- set turns = namespace(system='', first=0) -%}
{%- if messages[0]['role'] == 'system' -%}
    {%- set turns.system = messages[0]['content'] -%}
    {%- set turns.first = 1 -%}
{%- endif -%}
{%- if tools -%}
    {%- if turns.system -%}{%- set turns.system = turns.system + '\\n' -%}{%- endif -%}
    {%- set turns.system = turns.system + 'List of tools: LIST_START[' -%}
    {%- for tool in tools -%}
        {%- if tool is not string -%}{%- set tool = tool | tojson -%}{%- endif -%}
        {%- set turns.system = turns.system + (', ' if not loop.first else '') + tool -%}
    {%- endfor -%}
    {%- set turns.system = turns.system + ']LIST_END' -%}
{%- endif -%}
{%- if turns.system -%}{{- '<|im_start|>system\\n' + turns.system + '<|im_end|>\\n' -}}{%- endif -%}
"""
_WITH_TOKENS = _SYSTEM.replace("LIST_START", "<|tool_list_start|>").replace(
    "LIST_END", "<|tool_list_end|>"
)
_PLAIN = _SYSTEM.replace("LIST_START", "").replace("LIST_END", "")

_PROMPT = "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"

_RESPONSE = """\
        {%- if message['role'] == 'tool' -%}
            {%- set content = '<|tool_response_start|>' + content + '<|tool_response_end|>' -%}
        {%- endif -%}
"""

# The calls of a message, with WRITE for how a string is written.
_CALLS = """\
        {%- if message['tool_calls'] -%}
            {%- set calls = namespace(text='<|tool_call_start|>[') -%}
            {%- for call in message['tool_calls'] -%}
                {%- set call = call['function'] if call['function'] is defined else call -%}
                {%- if call['arguments'] is string -%}
                    {{- raise_exception('arguments must be a mapping') -}}
                {%- endif -%}
                {%- if not loop.first -%}{%- set calls.text = calls.text + ', ' -%}{%- endif -%}
                {%- set calls.text = calls.text + call['name'] + '(' -%}
                {%- for name, value in call['arguments'].items() -%}
                    {%- if not loop.first -%}{%- set calls.text = calls.text + ', ' -%}{%- endif -%}
                    {%- set calls.text = calls.text + name + '=' -%}
                    {%- if value is none -%}{%- set written = NONE -%}
                    {%- elif value is boolean -%}{%- set written = 'True' if value else 'False' -%}
                    {%- elif value is string -%}{%- set written = WRITE -%}
                    {%- elif value is mapping or value is iterable -%}
                        {%- set written = value | tojson -%}
                    {%- else -%}{%- set written = value | string -%}{%- endif -%}
                    {%- set calls.text = calls.text + written -%}
                {%- endfor -%}
                {%- set calls.text = calls.text + ')' -%}
            {%- endfor -%}
            {%- set calls.text = calls.text + ']<|tool_call_end|>' -%}
            {%- set content = JOIN -%}
        {%- endif -%}
"""


def _calls(*, none: str, write: str, join: str) -> str:
    return _CALLS.replace("NONE", none).replace("WRITE", write).replace("JOIN", join)


_BEFORE, _AFTER = "calls.text + content", "content + calls.text"
_ESCAPED = (
    "\"'\" + value.replace('\\\\', '\\\\\\\\').replace(\"'\", \"\\\\'\")"
    ".replace('\\n', '\\\\n').replace('\\r', '\\\\r') + \"'\""
)
_DOUBLE, _SINGLE = "'\"' + value + '\"'", '"\'" + value + "\'"'


def _template(system: str, body: str, prompt: str = _PROMPT) -> str:
    return (
        system
        + "{%- for message in messages -%}\n    {%- if loop.index0 >= turns.first -%}\n"
        + "        {%- set content = message['content'] or '' -%}\n"
        + "        {%- if content is not string -%}\n"
        + "            {%- set content = content | tojson -%}\n        {%- endif -%}\n"
        + body
        + "        {{- "
        + _TURN
        + " + content + '<|im_end|>\\n' -}}\n    {%- endif -%}\n{%- endfor -%}\n"
        + prompt
    )


_THOUGHT = """\
        {%- if message['role'] == 'assistant' and not keep_past_thinking and not loop.last -%}
            {%- set content = content.split('</think>')[-1] -%}
        {%- endif -%}
"""

A = _template(_WITH_TOKENS, _RESPONSE)
A2 = _template(_WITH_TOKENS, _RESPONSE + _calls(none="'None'", write=_ESCAPED, join=_AFTER))
B = _template(_PLAIN, _THOUGHT + _calls(none="'null'", write=_DOUBLE, join=_BEFORE))
B_OLD = _template(_PLAIN, _THOUGHT)
C = _template(_PLAIN, _calls(none="'None'", write=_SINGLE, join=_AFTER))
C_DATED = C.replace(
    _PLAIN,
    """\
{{- bos_token -}}
{%- set turns = namespace(system='', first=0) -%}
{%- if messages[0]['role'] == 'system' -%}
    {%- set turns.system = messages[0]['content'] -%}
    {%- set turns.first = 1 -%}
{%- endif -%}
{%- if tools -%}
    {%- set turns.system = turns.system + "\\n\\nToday's date: " + strftime_now('%Y-%m-%d') -%}
    {%- set turns.system = turns.system + '\\n\\nList of tools: ' + tools | tojson -%}
{%- endif -%}
{{- '<|im_start|>system\\n' + turns.system + '<|im_end|>\\n' -}}
""",
)
D = _template(
    _PLAIN,
    _calls(none="'None'", write=_ESCAPED, join=_AFTER),
    prompt=_PROMPT.replace("assistant\\n", "assistant\\n<think>"),
)
ALL = {"A": A, "A2": A2, "B": B, "B_OLD": B_OLD, "C": C, "C_DATED": C_DATED, "D": D}
