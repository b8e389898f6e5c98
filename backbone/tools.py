"""A `Tool`: a function that a model may call, with its arguments described as JSON schema.

Made from a Python function or from the JSON that servers exchange. Knows neither how a call is
written down nor who runs it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# "auto", "none", "required", or the name of the tool that must be called
ToolChoice = str

# Names as they are in use; a name is written as it is, so nothing that a call is made of.
_NAME = re.compile(r"[A-Za-z_][\w.:/-]{0,127}", re.ASCII)
_ARGUMENT = re.compile(r"[^\s=(),\"'\[\]{}\\<>][^=(),\"'\[\]{}\\<>\x00-\x1f\x7f]*(?<!\s)")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function offered to a model.

    `parameters` is a JSON schema of type object, one property an argument. `run` does the work, as
    `run(**arguments)`; without it the caller answers the calls.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        """Refuse, with ValueError, what no call could be written for."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"a tool's name is letters, digits and _ . : / -, at most 128, got {self.name!r}"
            )
        properties = self.parameters.get("properties", {})
        if self.parameters.get("type", "object") != "object" or not isinstance(properties, Mapping):
            raise ValueError(
                f"the parameters of tool {self.name} must be a JSON schema of type object"
            )
        for argument in properties:
            if not isinstance(argument, str) or not _ARGUMENT.fullmatch(argument):
                raise ValueError(f"tool {self.name}: {argument!r} cannot be an argument's name")
        self._check_required(properties)

    def _check_required(self, properties: Mapping[str, Any]) -> None:
        required = self.parameters.get("required", [])
        if not isinstance(required, Sequence) or isinstance(required, str):
            raise ValueError(f"tool {self.name}: `required` must be a list of names")
        if unknown := [name for name in required if name not in properties]:
            raise ValueError(f"tool {self.name} requires {unknown[0]!r} and does not describe it")

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Tool:
        """The tool that a function is: by its name, type hints and docstring.

        Raises TypeError for a parameter that JSON cannot carry.
        """
        from backbone.signature import describe

        name, description, parameters = describe(function)
        return cls(name, description, parameters, run=function)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Tool:
        """From `{"name", "description", "parameters"}`, bare or in OpenAI's `{"function": …}`."""
        inner = value.get("function", value)
        if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str):
            raise ValueError(f"a tool needs a name: got {dict(value)!r}")
        parameters = inner.get("parameters")
        if parameters is None:
            parameters = {"type": "object", "properties": {}}
        if not isinstance(parameters, Mapping):
            raise ValueError(f"the parameters of tool {inner['name']} must be a JSON schema")
        return cls(inner["name"], str(inner.get("description") or ""), parameters)

    def as_json(self) -> dict[str, Any]:
        """The bare form: `{"name", "description", "parameters"}`."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
        }

    @property
    def arguments(self) -> dict[str, Any]:
        """The schema of each argument, by its name."""
        return dict(self.parameters.get("properties", {}))

    @property
    def required(self) -> frozenset[str]:
        """The names of the arguments that every call has."""
        return frozenset(self.parameters.get("required", ()))


def by_name(tools: Iterable[Tool]) -> dict[str, Tool]:
    """The tools by their names; ValueError when two have the same."""
    known: dict[str, Tool] = {}
    for tool in tools:
        if tool.name in known:
            raise ValueError(f"two tools are named {tool.name}: a call could mean either")
        known[tool.name] = tool
    return known


def chosen(tools: Sequence[Tool], choice: ToolChoice) -> list[Tool]:
    """The tools that may be called under a choice; ValueError for a name that is not there."""
    known = by_name(tools)
    if choice == "none":
        return []
    if choice in ("auto", "required"):
        return list(tools)
    if choice not in known:
        raise ValueError(
            f"tool_choice {choice!r} is neither auto, none, required nor one of: "
            + (", ".join(known) or "no tools")
        )
    return [known[choice]]
