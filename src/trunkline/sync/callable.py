"""A tool as a function, for code that does not await."""

from __future__ import annotations

import inspect
from typing import Any

from trunkline.core.reply import Reply
from trunkline.core.tool import Tool
from trunkline.runtime.callable import ToolFunction as AsyncToolFunction
from trunkline.sync.loop_thread import LoopThread


class _Text:
    """Gives the tool's docstring on an instance, and what this class is on the class itself."""

    def __get__(self, function: ToolFunction | None, owner: object) -> str | None:
        return "A tool as a function, made by `Trunk.tool`." if function is None else function.inner.__doc__


class _Signature:
    """Gives the tool's signature on an instance; the class has none of its own."""

    def __get__(self, function: ToolFunction | None, owner: object) -> inspect.Signature | None:
        return None if function is None else function.inner.__signature__


class ToolFunction:
    __doc__ = _Text()
    __signature__ = _Signature()

    def __init__(self, thread: LoopThread, inner: AsyncToolFunction, owner: object) -> None:
        self.inner = inner
        self._thread = thread
        self._owner = owner  # a trunk nobody holds is closed

    @property
    def tool(self) -> Tool | None:
        """The tool's definition as of now, or None until a server has listed it."""
        return self.inner.tool

    @property
    def __name__(self) -> str:
        return self.inner.__name__

    @property
    def __annotations__(self) -> dict[str, Any]:  # type: ignore[override] # of the tool, not of this class
        return self.inner.__annotations__

    def __call__(self, /, *arguments: Any, **named: Any) -> Reply:
        return self._thread.run(lambda: self.inner(*arguments, **named))

    def __repr__(self) -> str:
        return repr(self.inner)
