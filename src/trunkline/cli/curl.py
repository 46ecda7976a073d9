"""`trunkline call --curl`: the request of a call as a command for a shell; the tool is not called.

What a secret came from stands in its place: `$NAME` for a variable, `***` for anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trunkline.cli import session
from trunkline.cli.exits import OK, UsageError
from trunkline.cli.options import Settings
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.cli.arguments import Given
    from trunkline.cli.selectors import Selector
    from trunkline.config.entry import Entry
    from trunkline.config.loading import Config
    from trunkline.config.policy import Policy
    from trunkline.core.tool import Tool
    from trunkline.protocol.eras import Era
    from trunkline.runtime.trunk import Trunk


async def print_request(
    selector: Selector, given: Given, config: Config, settings: Settings, terminal: Terminal
) -> int:
    """Print the request that the call would make, once the server's era and the tool's schema are known.

    A server that cannot be connected is assumed to speak the latest revision.

    Raises:
        UsageError: the server is a program on this machine; the line for a shell is printed all the same.
            Or it is reached over HTTP+SSE or WebSocket, where one request alone would say nothing.
        NotFoundError, AmbiguousNameError: a bare name that no server has, or several have.
    """
    from trunkline.cli.arguments import resolve_arguments
    from trunkline.cli.listing import settle
    from trunkline.config.entry import StdioEntry
    from trunkline.security.scrub import Scrubber
    from trunkline.telemetry.escape import escape_text

    async with session.open_trunk(config) as trunk:
        await settle(trunk, selector.server, settings)
        tool = _find_tool(trunk, selector)
        server = selector.server or (
            trunk.catalog.resolve(selector.name).server if tool is None else tool.server
        )
        arguments = resolve_arguments(given, tool.input_schema if tool is not None else None)
        era = _era_of(trunk, server, terminal)
        transport = trunk.status()[server].transport
    entry = next(entry for entry in config.entries if entry.name == server)
    if transport in ("sse", "websocket"):
        raise UsageError(
            f"{server} is reached over {transport}, where no request stands alone",
            hint="--wire - shows every message of the call.",
        )
    text = _render(entry, config.policy, era, selector.tool if tool is None else tool.name, tool, arguments)
    secrets = Scrubber(secret for one in config.entries for secret in getattr(one, "secrets", ()))
    terminal.print_text(escape_text(secrets.clean(text), keep_lines=True))
    if "***" in text or "[redacted]" in secrets.clean(text):
        terminal.warn("a secret that is no variable is left out")
    if isinstance(entry, StdioEntry):
        raise UsageError(
            f"{server} is reached over stdio, so there is no HTTP request",
            hint="The line on standard output sends the same to the program.",
        )
    return OK


def _find_tool(trunk: Trunk, selector: Selector) -> Tool | None:
    found = [
        tool
        for tool in trunk.catalog.tools
        if tool.name == selector.tool and selector.server in (None, tool.server)
    ]
    return found[0] if len(found) == 1 else None


def _era_of(trunk: Trunk, server: str, terminal: Terminal) -> Era:
    from trunkline.cli.render import line
    from trunkline.protocol.eras import ERAS, MODERN

    status = trunk.status()[server]
    if status.era is None:
        reason = line(status.last_error or "it is not ready yet")
        terminal.warn(
            f"{line(server)} could not be asked what it speaks ({reason}); assuming {MODERN.revision}"
        )
    return ERAS.get(status.era or "", MODERN)


def _render(
    entry: Entry, policy: Policy, era: Era, name: str, tool: Tool | None, arguments: Mapping[str, Any]
) -> str:
    import os

    from trunkline.cli.reaching import way_options
    from trunkline.cli.shell import render_curl, render_pipe
    from trunkline.config.entry import BadEntry, HttpEntry, StdioEntry

    match entry:
        case BadEntry():
            raise entry.error
        case StdioEntry():
            return render_pipe(entry, era, name, arguments)
        case HttpEntry():
            rules = policy.for_server(entry.name)
            way = way_options(entry.name, entry.url, rules, policy.folder, os.environ)
            return render_curl(entry, era, name, arguments, _mirrored(tool, era, arguments), way)
        case _:
            raise UsageError(f"{entry.name} is a program of its own, so there is no HTTP request")


def _mirrored(tool: Tool | None, era: Era, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Give the headers that repeat arguments; see `trunkline.runtime.mirror`."""
    from trunkline.catalog.headers import header_arguments
    from trunkline.protocol.headers import encode_argument
    from trunkline.runtime.mirror import value_at

    if tool is None or not era.mirrored_headers:
        return {}
    found = ((one.header, value_at(arguments, one.path)) for one in header_arguments(tool))
    return {name: text for name, value in found if (text := encode_argument(value)) is not None}
