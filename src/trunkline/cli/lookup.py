"""`trunkline tools` and `trunkline info`: what a tool or a server is, before anything is called."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK
from trunkline.cli.listing import saying_who_is_sick, settle, shown_tools, warn_of_sick
from trunkline.cli.options import Settings, with_settings
from trunkline.cli.recalled import CachedOption
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.cli.selectors import Selector
    from trunkline.config.loading import Config
    from trunkline.core.tool import Tool
    from trunkline.runtime.trunk import Trunk


@with_settings
def tools_command(
    settings: Settings,
    query: Annotated[
        str | None, typer.Argument(metavar="[SERVER|PATTERN]", help="A server, or a name with * and ?.")
    ] = None,
    cached: CachedOption = False,
) -> int:
    """Show the tools of all servers, of one, or whose name fits."""
    return session.guarded(settings, lambda terminal: _show_tools(query, cached, settings, terminal))


@with_settings
def info_command(
    settings: Settings,
    words: Annotated[list[str], typer.Argument(metavar="TOOL|SERVER", help="As server.tool, or a server.")],
) -> int:
    """Show everything about one tool, or about one server."""
    return session.guarded(settings, lambda terminal: _show_info(words, settings, terminal))


def match_tools(tools: Sequence[Tool], query: str | None, server: str | None) -> list[Tool]:
    """Give the tools of `server`, or those whose own or public name fits the pattern, ignoring case.

    A pattern without `*`, `?` or `[` fits anywhere in the name.
    """
    if server is not None and query == server:
        return [tool for tool in tools if tool.server == server]
    if query is None:
        return list(tools)
    pattern = query.lower() if any(sign in query for sign in "*?[") else f"*{query.lower()}*"
    return [
        tool
        for tool in tools
        if any(fnmatch.fnmatchcase(name.lower(), pattern) for name in (tool.public_name, tool.name))
    ]


async def require_tool(trunk: Trunk, selector: Selector, settings: Settings) -> Tool:
    """Give the selected tool.

    Raises:
        ConfigError, UnavailableError: its server has failed.
        NotFoundError, AmbiguousNameError: there is no such tool, or more than one.
    """
    await trunk.ready(selector.server, timeout=settings.timeout, lazy=selector.server is None)
    return trunk.catalog.resolve(selector.name)


def _show_tools(query: str | None, cached: bool, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.loop import run_loop
    from trunkline.cli.selectors import split_prefix

    config = session.load_config(settings, terminal)
    session.require_enabled(config, query or "")
    names = session.server_names(config)
    prefix = split_prefix(query or "", names)
    server = query if query in names else prefix.server if prefix is not None else None
    if prefix is not None and query not in names:
        query = prefix.name
    config = session.only(config, server)
    opened = session.open_cached(config, terminal, cached=cached)
    return run_loop(_tools(query, server, config, opened, settings, terminal))


async def _tools(
    query: str | None,
    server: str | None,
    config: Config,
    opened: AbstractAsyncContextManager[Trunk],
    settings: Settings,
    terminal: Terminal,
) -> int:
    from trunkline.cli.envelope import tools_document
    from trunkline.cli.render import line, render_tools

    async with opened as trunk:
        await settle(trunk, None, settings)
        tools = match_tools(shown_tools(trunk, settings), query, server)
        session.remember_names(trunk, config)
        if settings.as_json:
            terminal.print_document(tools_document(tools))
        else:
            terminal.print_text(render_tools(tools, terminal.paint))
        if query is not None and not tools:
            terminal.note(f"trunkline: no tool fits {line(query)!r}")
        warn_of_sick(trunk, terminal)
    return OK


def _show_info(words: Sequence[str], settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.exits import UsageError
    from trunkline.cli.loop import run_loop
    from trunkline.cli.selectors import select_tool

    config = session.load_config(settings, terminal)
    session.require_enabled(config, words[0])
    names = session.server_names(config)
    if len(words) == 1 and words[0] in names:
        return run_loop(_server_info(words[0], session.only(config, words[0]), settings, terminal))
    selector, rest = select_tool(words, names, default=session.described_server(config, settings))
    if rest:
        raise UsageError(f"{rest[0]!r} is one word too many", hint="Name one tool, as server.tool.")
    return run_loop(_tool_info(selector, session.only(config, selector.server), settings, terminal))


async def _server_info(name: str, config: Config, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.describe import render_server
    from trunkline.cli.envelope import prompts_document, resources_document, server_document, tool_document
    from trunkline.cli.offers import has_offers, render_offers

    async with session.open_trunk(config) as trunk:
        await settle(trunk, name, settings, lists=True)
        status, tools, catalog = trunk.status()[name], shown_tools(trunk, settings), trunk.catalog
        session.remember_names(trunk, config)
        if settings.as_json:
            listed = [tool_document(tool) for tool in tools]
            document = {"ok": True, "server": server_document(name, status), "tools": listed}
            offers = resources_document(catalog.resources, catalog.templates)
            terminal.print_document(document | offers | prompts_document(catalog.prompts))
        else:
            shown = [render_server(name, status, tools, terminal.paint)]
            shown += [render_offers(catalog, terminal.paint)] if has_offers(catalog) else []
            terminal.print_text("\n\n".join(shown))
        warn_of_sick(trunk, terminal)
    return OK


async def _tool_info(selector: Selector, config: Config, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.describe import render_tool
    from trunkline.cli.envelope import tool_document

    async with session.open_trunk(config) as trunk:
        with saying_who_is_sick(trunk, selector, terminal):
            tool = await require_tool(trunk, selector, settings)
        session.remember_names(trunk, config)
        if settings.as_json:
            terminal.print_document({"ok": True, "tool": tool_document(tool)})
        else:
            terminal.print_text(render_tool(tool, terminal.paint))
    return OK
