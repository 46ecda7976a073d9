"""Validate: refuses arguments that do not match the tool's input schema, before anything is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

import msgspec

from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.core.tool import Tool
from trunkline.errors import InvalidArgumentsError
from trunkline.pipeline.schema import Checker, compile_schema
from trunkline.pipeline.service import Service

_MOST_CHECKERS = 4096


class Validate(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the layer."""

    name: ClassVar[str] = "validate"

    known: Callable[[str], Tool | None]
    """Gives the tool of a public name at once, where it is known."""
    find: Callable[[Call], Awaitable[Tool | None]]
    """Waits for the server's list; raises NotFoundError, or gives None where there is no list."""

    def wrap(self, inner: Service) -> Service:
        """Check the arguments, then call `inner`."""
        known = self.known
        checkers: dict[str, tuple[Tool, Checker]] = {}

        async def validate(call: Call) -> Reply:
            tool = known(call.public_name)
            if tool is None and (tool := await self.find(call)) is None:
                return await inner(call)
            entry = checkers.get(tool.public_name)
            if entry is None or entry[0] is not tool:
                if len(checkers) >= _MOST_CHECKERS:
                    checkers.clear()
                entry = checkers[tool.public_name] = (tool, compile_schema(tool.input_schema))
            checker = entry[1]
            if problems := checker.problems(call.arguments):
                raise _invalid(tool, problems, call.arguments)
            reply = await inner(call)
            if checker.warning is not None:
                return msgspec.structs.replace(reply, warnings=(*reply.warnings, checker.warning))
            return reply

        return validate


def _invalid(tool: Tool, problems: tuple[str, ...], arguments: Mapping[str, Any]) -> InvalidArgumentsError:
    properties = tool.input_schema.get("properties")
    known = list(properties) if isinstance(properties, Mapping) else []
    takes = ", ".join(known[:20]) if known else "no arguments"
    unknown = sorted(set(arguments) - set(known)) if known else []
    extra = f" (not: {', '.join(unknown[:5])})" if unknown else ""
    return InvalidArgumentsError(
        f"the arguments do not fit: {'; '.join(problems)}",
        problems=problems,
        hint=f"It takes {takes}{extra}; `trunkline info {tool.public_name}` shows the schema.",
    )
