"""A tool as an async function: `list_files = trunk.tool("list_files"); await list_files(path=".")`."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from trunkline.core.reply import Reply
from trunkline.core.tool import Tool
from trunkline.runtime.parameters import UNKNOWN, Parameters, docstring_of, parameters_of
from trunkline.runtime.selection import Selection
from trunkline.security.sanitize import sanitize_text

_ABOUT = """A tool as an async function, made by `Trunk.tool`; calling it gives the Reply.

Arguments are passed by name or in the order of the signature; names that are no Python identifiers only
as `**{"a-name": value}`. What is not passed is not sent. None for an argument that may be left out, and
whose schema does not allow null, leaves it out.

`__name__`, `__doc__`, `__signature__` and `__annotations__` follow the tool's definition. Until a
server has listed it, the first is what was asked for, and the signature takes anything by name.

Raises:
    TypeError: too many arguments by position, or one twice.
    CallError: as `Trunk.call`; arguments that do not fit are an InvalidArgumentsError.
"""


class _Doc:
    """Gives the tool's text on an instance, and what this class is on the class itself."""

    def __get__(self, function: ToolFunction | None, owner: object) -> str:
        return _ABOUT if function is None else function.describe()


class _Signature:
    """Gives the tool's signature on an instance; the class has none of its own."""

    def __get__(self, function: ToolFunction | None, owner: object) -> inspect.Signature | None:
        return None if function is None else function.parameters.signature()


class ToolFunction:
    __doc__ = _Doc()
    __signature__ = _Signature()

    def __init__(
        self, selection: Selection, call: Callable[..., Awaitable[Reply]], timeout: float | None
    ) -> None:
        self._selection = selection
        self._call = call
        self._timeout = timeout
        self._read: tuple[Tool, Parameters] | None = None
        if sys.version_info >= (3, 12):
            inspect.markcoroutinefunction(self)

    @property
    def tool(self) -> Tool | None:
        """The tool's definition as of now, or None until a server has listed it."""
        return self._selection.known()

    @property
    def parameters(self) -> Parameters:
        """What the tool takes, as of now."""
        tool = self._selection.known()
        if tool is None:
            return UNKNOWN
        if self._read is None or self._read[0] is not tool:
            self._read = (tool, parameters_of(tool))
        return self._read[1]

    @property
    def __name__(self) -> str:
        tool = self._selection.known()
        return sanitize_text(self._selection.name if tool is None else tool.name)

    @property
    def __annotations__(self) -> dict[str, Any]:  # type: ignore[override] # of the tool, not of this class
        parameters = self.parameters
        return {one.name: one.annotation for one in parameters.arguments} | {"return": Reply}

    async def __call__(self, /, *arguments: Any, **named: Any) -> Reply:
        clock = asyncio.get_running_loop().time
        started = clock()
        tool = await self._selection.find(self._timeout)
        if isinstance(tool, str):
            name, bound = tool, UNKNOWN.bind(tool, arguments, named)
        else:
            name, bound = tool.public_name, self.parameters.bind(tool.name, arguments, named)
        left = None if self._timeout is None else max(self._timeout - (clock() - started), 0.0)
        return await self._call(name, bound, timeout=left)

    def describe(self) -> str:
        """Give the docstring."""
        tool = self._selection.known()
        if tool is None:
            return f"The tool {self._selection.name!r}; no server has listed it yet."
        return docstring_of(tool, self.parameters)

    def __repr__(self) -> str:
        tool = self._selection.known()
        name = sanitize_text(self._selection.name if tool is None else tool.public_name)
        return f"<tool {name}{self.parameters.signature()}>"
