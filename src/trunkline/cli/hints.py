"""What a server claims about its tools: which change nothing, which may destroy something. Pure.

These are the server's own words and prove nothing; they may make us more careful, never less.
"""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.core.tool import Tool
from trunkline.errors import DeniedError

_CLAIM = "Hints are the server's own claim. Leave out --read-only to call it."


def is_destructive(tool: Tool) -> bool:
    """Whether the server says outright that the tool may destroy something."""
    return tool.annotations.get("destructiveHint") is True


def is_read_only(tool: Tool) -> bool:
    """Whether the server says outright that the tool changes nothing, and does not contradict itself."""
    return tool.annotations.get("readOnlyHint") is True and not is_destructive(tool)


def only_read_only(tools: Iterable[Tool]) -> tuple[Tool, ...]:
    """Give the tools that `--read-only` lets through."""
    return tuple(tool for tool in tools if is_read_only(tool))


def require_read_only(tool: Tool) -> None:
    """Refuse a tool that `--read-only` does not let through.

    Raises:
        DeniedError: naming what the server says, or does not say.
    """
    if is_read_only(tool):
        return
    if tool.annotations.get("readOnlyHint") is True:
        why = "its server calls it read-only and destructive at once"
    else:
        why = "its server does not call it read-only"
    raise DeniedError(
        f"refused by --read-only: {why}", tool=tool.public_name, server=tool.server, hint=_CLAIM
    )
