"""Asking the person at the terminal before a tool that may destroy something, by its server's own words."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

from trunkline.cli.columns import cut_to
from trunkline.cli.render import align, line
from trunkline.cli.style import Paint
from trunkline.core.tool import Tool
from trunkline.errors import DeniedError

_SECRET = re.compile(
    r"pass(word|wd|phrase|code)|secret|token|api[-_ ]?key|credential|authorization|cookie|private[-_ ]?key"
    r"|^(pwd|pass|pin|otp|auth|key)$",
    re.IGNORECASE,
)
_MASK = "********"
_WIDEST = 100
_YES = ("y", "yes")


def can_ask() -> bool:
    """Whether a person is there to be asked: standard input and standard error are terminals."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def render_question(tool: Tool, arguments: Mapping[str, Any], paint: Paint) -> str:
    """Give what is about to happen, ending in the question; values of secret arguments are masked."""
    name = paint(f"{line(tool.server)}.{line(tool.name)}", "strong")
    rows = [(line(key), _shown(key, value)) for key, value in arguments.items()]
    listed = [f"  {row}" for row in align(rows)] if rows else ["  no arguments"]
    head = f"{name} may {paint('destroy', 'bad')} something: its server says so."
    return "\n".join([head, *listed, "Call it? [y/N] "])


def mask_secrets(value: Any) -> Any:
    """Give JSON in which every member with the name of a secret is masked."""
    if isinstance(value, Mapping):
        return {
            key: _MASK if _SECRET.search(str(key)) else mask_secrets(inner) for key, inner in value.items()
        }
    return [mask_secrets(inner) for inner in value] if isinstance(value, list | tuple) else value


async def require_consent(tool: Tool, arguments: Mapping[str, Any], paint: Paint) -> None:
    """Ask, and go on only after a yes.

    Raises:
        DeniedError: the answer was anything else, or there was none.
    """
    sys.stderr.write(render_question(tool, arguments, paint))
    sys.stderr.flush()
    try:
        answer = await read_line()
    except asyncio.CancelledError:
        sys.stderr.write("\n")
        raise
    if answer.strip().lower() in _YES:
        return
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    raise DeniedError(
        "not called: you did not say yes",
        tool=tool.public_name,
        server=tool.server,
        hint="Answer y, or give --yes to call without being asked.",
    )


async def read_line() -> str:
    """Read what the person types up to Enter; a terminal is readable once a whole line is there."""
    loop = asyncio.get_running_loop()
    descriptor, ready = sys.stdin.fileno(), asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except NotImplementedError:  # on Windows the loop waits with us
        return sys.stdin.readline()
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, 4096).decode(errors="replace")


def _shown(key: str, value: Any) -> str:
    masked = mask_secrets({key: value})[key]
    text = masked if isinstance(masked, str) else json.dumps(masked, ensure_ascii=False, default=str)
    return cut_to(line(text), _WIDEST)
