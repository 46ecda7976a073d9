"""A call as a shell would make it: by curl, or by a pipe into the server's program. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trunkline.config.entry import HttpEntry, StdioEntry
from trunkline.config.url import origin
from trunkline.protocol.eras import LATEST_LEGACY, Era, request_meta
from trunkline.protocol.frames import Encoder, encode_notification
from trunkline.protocol.headers import encode_value

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_VARIABLE = re.compile(r"(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-.*)?", re.DOTALL)
_PARTS = re.compile(r"(\$\{[^}]*\})")
_SPACED = re.compile(r"\$\{(\w+)\}(?!\w)", re.ASCII)
"""A variable after which nothing could belong to its name, so that it needs no braces."""
_TAME = re.compile(r"[\w %+,./:=@*?&^-]*", re.ASCII)
_MASK = "***"
_SESSION = "sed -n 's/^[Mm]cp-[Ss]ession-[Ii]d: *//p' | tr -d '\\r'"
_PATIENCE = 5
"""Seconds the pipe's input stays open, since many servers end with it before they have answered."""


def render_curl(
    entry: HttpEntry,
    era: Era,
    tool: str,
    arguments: Mapping[str, Any],
    mirrored: Mapping[str, str],
    way: Sequence[str] = (),
) -> str:
    """Give the call of one tool as curl commands: for a legacy era three, which open a session first.

    Args:
        way: options that say how the server is reached, as `reaching.way_options` gives them.
    """
    url = " ".join((quote_shown(entry.shown or origin(entry.url)), *way))
    common = [f"{name}: {entry.shown_headers.get(name, _MASK)}" for name in entry.headers]
    common += ["Content-Type: application/json", "Accept: application/json, text/event-stream"]
    own = [f"MCP-Protocol-Version: {era.revision}"] if era.version_header else []
    if era.family == "modern":
        own += ["Mcp-Method: tools/call", f"Mcp-Name: {encode_value(tool)}"]
        own += [f"{name}: {value}" for name, value in mirrored.items()]
        return _curl("curl -sS", url, [*common, *own], _call(era, tool, arguments))
    hello, ready, call = _messages(era, tool, arguments)
    session = '"Mcp-Session-Id: $session"'
    return "\n".join(
        (
            f"session=$({_curl('curl -sS -D - -o /dev/null', url, common, hello)} | {_SESSION})",
            _curl("curl -sS -o /dev/null", url, [*common, *own], ready, session),
            _curl("curl -sS", url, [*common, *own], call, session),
        )
    )


def render_pipe(entry: StdioEntry, era: Era, tool: str, arguments: Mapping[str, Any]) -> str:
    """Give the call of one tool as messages piped into its server's program."""
    modern = era.family == "modern"
    messages = [_call(era, tool, arguments)] if modern else _messages(era, tool, arguments)
    words = [quote_shown(word) for word in entry.shown or (entry.command, _MASK)]
    variables = [f'{name}="${name}"' for name in entry.env_names if name.isidentifier()]
    program = " ".join([*(["env", *variables] if variables else []), *words])
    if entry.cwd is not None:
        program = f"(cd {shlex.quote(entry.cwd)} && {program})"
    lines = " ".join(shlex.quote(message) for message in messages)
    return f"{{ printf '%s\\n' {lines}; sleep {_PATIENCE}; }} | {program}"


def quote_shown(text: str) -> str:
    """Quote text for a shell, in which `${NAME}` stands for a variable: it becomes `$NAME`.

    What is not a variable, such as `${file:path}`, becomes `***`.
    """
    text = _REFERENCE.sub(_keep_variable, text)
    literals = _REFERENCE.split(text)[::2]
    if len(literals) == 1:
        return shlex.quote(text)
    if all(_TAME.fullmatch(literal) for literal in literals):
        return '"' + _SPACED.sub(r"$\1", text) + '"'
    return "".join(
        f'"{part}"' if _REFERENCE.fullmatch(part) else shlex.quote(part)
        for part in _PARTS.split(text)
        if part
    )


def _keep_variable(match: re.Match[str]) -> str:
    variable = _VARIABLE.fullmatch(match[1])
    return f"${{{variable[1]}}}" if variable else _MASK


def _curl(program: str, url: str, headers: Iterable[str], body: str, *more: str) -> str:
    quoted = [quote_shown(header) for header in headers] + list(more)
    lines = [f"{program} {url}", *(f"-H {header}" for header in quoted), f"--data-raw {shlex.quote(body)}"]
    return " \\\n  ".join(lines)


def _call(era: Era, tool: str, arguments: Mapping[str, Any], number: int = 1) -> str:
    return Encoder(request_meta(era, _identity(), {})).call_tool(number, tool, arguments).decode()


def _messages(era: Era, tool: str, arguments: Mapping[str, Any]) -> list[str]:
    """Give the messages of a legacy era: the handshake's two, then the call."""
    params = {
        "protocolVersion": LATEST_LEGACY.revision,
        "capabilities": {},
        "clientInfo": _identity(),
    }
    hello = Encoder({}).request(1, "initialize", params)
    ready = encode_notification("notifications/initialized")
    return [hello.decode(), ready.decode(), _call(era, tool, arguments, 2)]


def _identity() -> dict[str, str]:
    from trunkline._version import __version__

    return {"name": "trunkline", "version": __version__}
