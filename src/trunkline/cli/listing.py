"""`trunkline`, `trunkline list` and `trunkline status`: what is configured and how it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK
from trunkline.cli.options import (
    ConfigOption,
    JsonOption,
    Settings,
    TimeoutOption,
    VerboseOption,
    settings_of,
)
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.cli.selectors import Selector
    from trunkline.config.loading import Config
    from trunkline.runtime.trunk import Trunk


def list_command(
    ctx: typer.Context,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """List the servers and, beneath each, its tools."""
    return list_everything(settings_of(ctx, config=config, as_json=as_json, timeout=timeout, verbose=verbose))


def status_command(
    ctx: typer.Context,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Show the state of every server as a table."""
    settings = settings_of(ctx, config=config, as_json=as_json, timeout=timeout, verbose=verbose)
    return session.guarded(settings, lambda terminal: _show_status(settings, terminal))


def list_everything(settings: Settings) -> int:
    """Run `trunkline list`."""
    return session.guarded(settings, lambda terminal: _show_list(settings, terminal))


async def settle(trunk: Trunk, server: str | None, settings: Settings) -> None:
    """Wait until the server (or every server) is ready or failed, within the time there is.

    A server that is not ready by then is shown as it is; it is not an error of the command.
    """
    from trunkline.errors import TrunklineError

    try:
        await trunk.ready(server, timeout=settings.timeout)
    except TrunklineError:
        return


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


def _show_list(settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.loop import run_loop

    config = session.load_config(settings, terminal)
    return run_loop(_list(config, settings, terminal))


async def _list(config: Config, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.envelope import list_document
    from trunkline.cli.render import render_list

    async with session.open_trunk(config) as trunk:
        await settle(trunk, None, settings)
        statuses, tools = trunk.status(), trunk.catalog.tools
        if settings.as_json:
            terminal.print_document(list_document(statuses, tools))
        else:
            terminal.print_text(render_list(statuses, tools, terminal.paint))
        warn_of_sick(trunk, terminal)
    return OK


def _show_status(settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.loop import run_loop

    config = session.load_config(settings, terminal)
    return run_loop(report_status(config, settings, terminal))


async def report_status(config: Config, settings: Settings, terminal: Terminal) -> int:
    """Wait for the servers and print the table."""
    from trunkline.cli.envelope import servers_document
    from trunkline.cli.render import render_status

    async with session.open_trunk(config) as trunk:
        await settle(trunk, None, settings)
        statuses = trunk.status()
        if settings.as_json:
            terminal.print_document(servers_document(statuses))
        else:
            terminal.print_text(render_status(statuses, terminal.paint))
        warn_of_sick(trunk, terminal)
    return OK
