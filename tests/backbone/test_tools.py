"""A function describes itself as a tool; what cannot be described is refused with the reason."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal, Optional

import pytest
from jsonschema import Draft202012Validator

from backbone.tools import Tool, by_name, chosen


def google(city: str, unit: Literal["C", "F"] = "C", *, days: Optional[int] = None) -> str:  # noqa: UP045
    """Tell the weather of a city,
    today or later.

    Args:
        city: Its name,
            in any language.
        unit (str, optional): Which degrees: C or F.
        days: How many days from now.

    Returns:
        city: not a parameter.
    """
    return f"{city} {unit} {days}"


def numpy_style(rows: list[list[float]], names: Sequence[str] = (), flag: bool = True) -> None:
    """Keep a table.

    Parameters
    ----------
    rows : list of lists
        The numbers, row by row.
    names
        What the columns are called.

    Returns
    -------
    rows
        Not a parameter.
    """


def sphinx(key: str | int, extra: dict[str, Any] | None, mapping: Mapping[str, int]) -> None:
    """Set a value.

    :param key: The name
        or number.
    :type key: str or int
    :param dict extra: Whatever else.
    :returns: nothing
    """


def test_a_function_is_a_tool_with_its_types_defaults_and_descriptions():
    tool = Tool.of(google)
    assert (tool.name, tool.description) == (
        "google",
        "Tell the weather of a city, today or later.",
    )
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Its name, in any language."},
            "unit": {
                "enum": ["C", "F"],
                "description": "Which degrees: C or F.",
                "default": "C",
            },
            "days": {
                "type": ["integer", "null"],
                "description": "How many days from now.",
                "default": None,
            },
        },
        "required": ["city"],
    }
    assert tool.run is not None and tool.run(city="Paris", days=2) == "Paris C 2"
    assert tool.required == {"city"}


def test_numpy_docstrings_are_read():
    tool = Tool.of(numpy_style)
    assert tool.description == "Keep a table."
    assert tool.arguments["rows"] == {
        "type": "array",
        "items": {"type": "array", "items": {"type": "number"}},
        "description": "The numbers, row by row.",
    }
    assert tool.arguments["names"]["description"] == "What the columns are called."
    assert tool.arguments["flag"] == {"type": "boolean", "default": True}


def test_sphinx_docstrings_are_read():
    tool = Tool.of(sphinx)
    assert tool.description == "Set a value."
    assert tool.arguments == {
        "key": {"type": ["string", "integer"], "description": "The name or number."},
        "extra": {
            "anyOf": [{"type": "object", "additionalProperties": {}}, {"type": "null"}],
            "description": "Whatever else.",
        },
        "mapping": {"type": "object", "additionalProperties": {"type": "integer"}},
    }


def test_an_annotation_describes_its_parameter():
    def find(query: Annotated[str, "What to look for."]) -> None:
        """Find."""

    assert Tool.of(find).arguments["query"] == {
        "type": "string",
        "description": "What to look for.",
    }


def test_a_method_and_a_function_without_docstring_or_parameters_are_tools():
    class Clock:
        def now(self) -> str:
            return "noon"

    tool = Tool.of(Clock().now)
    assert tool == Tool(
        "now", "", {"type": "object", "properties": {}, "required": []}, run=tool.run
    )
    assert tool.run is not None and tool.run() == "noon"


@pytest.mark.parametrize("function", [google, numpy_style, sphinx])
def test_descriptions_are_valid_schemas(function):
    Draft202012Validator.check_schema(Tool.of(function).parameters)


def bare(x) -> None: ...


def starred(*x: int) -> None: ...


def keywords(**x: int) -> None: ...


def positional(x: int, /) -> None: ...


def dated(x: date) -> None: ...


def keyed(x: dict[int, str]) -> None: ...


def bytes_literal(x: Literal[b"a"]) -> None: ...


def unknown(x: "Nowhere") -> None: ...  # noqa: F821


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (bare, r"bare\(… x …\) has no type hint"),
        (starred, "by name"),
        (keywords, "by name"),
        (positional, "by name"),
        (dated, "x.*date.*is none of str"),
        (keyed, r"dict\[int, str\]"),
        (bytes_literal, "Literal"),
        (unknown, "Nowhere"),
    ],
)
def test_what_cannot_be_described_is_refused(function, message):
    with pytest.raises(TypeError, match=message):
        Tool.of(function)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda: None, ValueError, "name is letters"),
        (partial(google, "x"), TypeError, "wrap it"),
    ],
)
def test_a_function_without_a_name_is_refused(function, error, message):
    with pytest.raises(error, match=message):
        Tool.of(function)


PARAMETERS = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}


def test_json_is_read_bare_and_wrapped():
    bare = {"name": "f", "description": "Do.", "parameters": PARAMETERS}
    wrapped = {"type": "function", "function": {**bare, "strict": True}}
    assert Tool.from_json(bare) == Tool.from_json(wrapped) == Tool("f", "Do.", PARAMETERS)
    assert Tool.from_json(wrapped).as_json() == bare
    assert Tool.from_json({"name": "f"}).as_json()["parameters"]["properties"] == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "needs a name"),
        ({"type": "function", "function": 3}, "needs a name"),
        ({"name": "f g"}, "name is letters"),
        ({"name": "f(x)"}, "name is letters"),
        ({"name": "f", "parameters": []}, "must be a JSON schema"),
        ({"name": "f", "parameters": {"type": "array"}}, "of type object"),
        ({"name": "f", "parameters": {"properties": {"a=b": {}}}}, "'a=b' cannot be"),
        ({"name": "f", "parameters": {"properties": {"": {}}}}, "'' cannot be"),
        ({"name": "f", "parameters": {"required": "x"}}, "list of names"),
        ({"name": "f", "parameters": {"required": ["x"]}}, "requires 'x'"),
    ],
)
def test_a_tool_that_no_call_can_be_written_for_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        Tool.from_json(value)


def test_two_tools_with_one_name_are_refused():
    tool = Tool.from_json({"name": "f"})
    with pytest.raises(ValueError, match="two tools are named f"):
        by_name([tool, tool])


def test_a_choice_says_which_tools_may_be_called():
    f, g = Tool.from_json({"name": "f"}), Tool.from_json({"name": "g"})
    assert chosen([f, g], "auto") == chosen([f, g], "required") == [f, g]
    assert chosen([f, g], "none") == []
    assert chosen([f, g], "g") == [g]
    with pytest.raises(ValueError, match="'h' is neither auto, none, required nor one of: f, g"):
        chosen([f, g], "h")
