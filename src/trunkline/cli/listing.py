"""`trunkline` and `trunkline list`: what is configured, and what it lists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trunkline.cli import session
from trunkline.cli.exits import OK
from trunkline.cli.options import Settings, with_settings
from trunkline.cli.recalled import CachedOption
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.cli.selectors import Selector
    from trunkline.config.loading import Config
    from trunkline.core.tool import Tool
    from trunkline.runtime.trunk import Trunk


@with_settings
def list_command(settings: Settings, cached: CachedOption = False) -> int:
    """List the servers and, beneath each, its tools.

    Of a server that does not come up, the tools of an earlier run are shown, marked as stale.
    """
    return list_everything(settings, cached=cached)


def list_everything(settings: Settings, *, cached: bool = False) -> int:
    """Run `trunkline list`."""
    return session.guarded(settings, lambda terminal: _show_list(cached, settings, terminal))


async def settle(
    trunk: Trunk, server: str | None, settings: Settings, *, lists: bool = False, lazy: bool = True
) -> None:
    """Wait until the server (or every server) is ready or failed, within the time there is.

    A server that is not ready by then is shown as it is; it is not an error of the command.

    Args:
        lists: wait until they have listed their resources, templates and prompts too.
        lazy: connect lazy servers too, without which not all would be shown.
    """
    from trunkline.errors import TrunklineError

    try:
        await trunk.ready(server, timeout=settings.timeout, lists=lists, lazy=lazy)
    except TrunklineError:
        return


def shown_tools(trunk: Trunk, settings: Settings) -> tuple[Tool, ...]:
    """Give the tools of the catalog, with --read-only those it lets through."""
    from trunkline.cli.hints import only_read_only

    tools = trunk.catalog.tools
    return only_read_only(tools) if settings.read_only else tools


def warn_of_sick(trunk: Trunk, terminal: Terminal) -> None:
    """Say in one line which servers are not ready, if any."""
    from trunkline.cli.render import sick_warning

    if (warning := sick_warning(trunk.status())) is not None:
        terminal.warn(warning)


@contextmanager
def saying_who_is_sick(trunk: Trunk, selector: Selector, terminal: Terminal) -> Iterator[None]:
    """Warn of sick servers when a bare name is not found: one of them may have the tool."""
    from trunkline.errors import NotFoundError

    try:
        yield
    except NotFoundError:
        if selector.server is None:
            warn_of_sick(trunk, terminal)
        raise


def _show_list(cached: bool, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.loop import run_loop

    config = session.load_config(settings, terminal)
    return run_loop(_list(cached, config, settings, terminal))


async def _list(cached: bool, config: Config, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.envelope import list_document
    from trunkline.cli.render import render_list

    async with session.open_cached(config, terminal, cached=cached) as trunk:
        await settle(trunk, None, settings, lists=True)
        statuses, tools = trunk.status(), shown_tools(trunk, settings)
        session.remember_names(trunk, config)
        if settings.as_json:
            terminal.print_document(list_document(statuses, tools))
        else:
            terminal.print_text(render_list(statuses, tools, terminal.paint))
        warn_of_sick(trunk, terminal)
    return OK
