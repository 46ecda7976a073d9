"""Validate: refuses arguments that do not match the tool's input schema, before anything is sent.

A result that does not match the output schema is given all the same, with a warning: the call was made.
"""

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
    defers: bool = False
    """Whether a call of a tool not listed yet is left to a layer within, which can do without the server."""

    def wrap(self, inner: Service) -> Service:
        """Check the arguments, call `inner`, then compare its result with what was promised."""
        known = self.known
        checkers: dict[str, tuple[Tool, Checker]] = {}
        outputs: dict[str, tuple[Tool, Checker]] = {}

        def validate(call: Call) -> Awaitable[Reply]:
            tool = known(call.public_name)
            if call.method != "tools/call":
                return inner(call) if tool is None or tool.output_schema is None else answered(call, tool)
            if tool is not None:
                return checked(call, tool)
            if self.defers:
                call.flight.unchecked = True
                return inner(call)
            return found(call)

        async def found(call: Call) -> Reply:
            tool = await self.find(call)
            return await (inner(call) if tool is None else checked(call, tool))

        def checked(call: Call, tool: Tool) -> Awaitable[Reply]:
            entry = checkers.get(tool.public_name)
            if entry is None or entry[0] is not tool:
                entry = _remember(checkers, tool, compile_schema(tool.input_schema))
            checker = entry[1]
            warning = None if checker.cheap else checker.excess(call.arguments)
            if warning is None and (problems := checker.problems(call.arguments)):
                raise _invalid(tool, problems, call.arguments)
            if warning is None and tool.output_schema is None:
                return inner(call)
            return answered(call, tool, warning)

        async def answered(call: Call, tool: Tool, warning: str | None = None) -> Reply:
            reply = await inner(call)
            if warning is not None:
                reply = _warn(reply, warning)
            if tool.output_schema is None or reply.is_error or reply.task is not None:
                return reply
            entry = outputs.get(tool.public_name)
            if entry is None or entry[0] is not tool:
                compiled = compile_schema(tool.output_schema, "structured result")
                entry = _remember(outputs, tool, compiled)
            return _check_result(reply, entry[1])

        return validate


def _remember(
    checkers: dict[str, tuple[Tool, Checker]], tool: Tool, checker: Checker
) -> tuple[Tool, Checker]:
    if len(checkers) >= _MOST_CHECKERS:
        checkers.clear()
    entry = checkers[tool.public_name] = (tool, checker)
    return entry


def _check_result(reply: Reply, checker: Checker) -> Reply:
    """Compare what an executed call gave with what the tool promised; a misfit is told, never raised."""
    result = reply.structured
    if result is None:
        return _warn(reply, "the tool declares an output schema and gave no structured result")
    if (warning := checker.excess(result)) is not None:
        return _warn(reply, warning)
    if problems := checker.problems(result):
        return _warn(
            reply, f"the structured result does not fit the tool's output schema: {'; '.join(problems)}"
        )
    return reply


def _warn(reply: Reply, warning: str) -> Reply:
    return msgspec.structs.replace(reply, warnings=(*reply.warnings, warning))


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
