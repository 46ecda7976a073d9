"""What is done in place of a call that failed: another tool, another server, a function, a fixed value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

from trunkline.core.call import Call
from trunkline.errors import CallError

Cause = Literal["tool_error", "invalid_arguments", "denied", "outcome_unknown"]
"""What alternatives are for only where that is asked for: a failure the tool reports; arguments the server
refuses; a lack of credentials; a call that may have run, and is none that may be repeated."""
Function = Callable[[Call, CallError | None], Any | Awaitable[Any]]
"""Given the call and its error, or None where the tool reported a failure; gives a value or a Reply."""


class Constant(msgspec.Struct, frozen=True):
    """A fixed value that stands in for a reply; a plain str would name a tool."""

    value: Any
    """Any JSON value; a str becomes text, anything else structured content."""

    def __str__(self) -> str:
        return f"{{ value = {msgspec.json.encode(self.value).decode()} }}"


class OtherTool(msgspec.Struct, frozen=True, kw_only=True):
    """Another tool, or the tool of the same name of another server."""

    name: str
    """A public name `server.tool`, a bare tool name, or a server's name."""
    rename: Mapping[str, str] = {}
    """What an argument of this tool is called there; those not named keep their name."""

    def __str__(self) -> str:
        if not self.rename:
            return f'"{self.name}"'
        renamed = ", ".join(f'"{old}" = "{new}"' for old, new in self.rename.items())
        return f'{{ tool = "{self.name}", rename = {{ {renamed} }} }}'


class FunctionCall(msgspec.Struct, frozen=True):
    """A function of the application."""

    function: Function


Alternative = OtherTool | Constant | FunctionCall


def read_fallback(given: Sequence[object], on: Collection[str]) -> dict[str, Any]:
    """Give what a caller says of alternatives as it stands in a call.

    Raises:
        TypeError, ValueError: it cannot be understood.
    """
    return {"fallback": read_alternatives(given), "fallback_on": check_causes(on)}


def read_alternatives(given: Sequence[object]) -> tuple[Alternative, ...]:
    """Give what was written: a str names a tool, a callable is called, anything else is a value.

    Raises:
        TypeError: it is no list, or is one of something that is no JSON value.
    """
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Sequence):
        raise TypeError(f"fallback must be a list of alternatives, not {type(given).__name__}")
    return tuple(_read(one) for one in given)


def check_causes(given: Collection[str]) -> frozenset[str]:
    """Give what alternatives are for.

    Raises:
        ValueError: one of them is no `Cause`.
    """
    known = get_args(Cause)
    if isinstance(given, str) or (wrong := set(given) - set(known)):
        shown = given if isinstance(given, str) else ", ".join(sorted(wrong))
        raise ValueError(f"fallback_on takes a list of any of {', '.join(known)}, not {shown}")
    return frozenset(given)


def _read(one: object) -> Alternative:
    if isinstance(one, OtherTool | Constant | FunctionCall):
        return one
    if isinstance(one, str):
        return OtherTool(name=one)
    if callable(one):
        if isinstance(one, type):
            raise TypeError(f"an alternative must be a function, not the class {one.__name__}")
        return FunctionCall(one)
    try:
        msgspec.json.encode(one)
    except (TypeError, ValueError) as error:
        raise TypeError(f"an alternative is no JSON value: {error}") from None
    return Constant(one)
