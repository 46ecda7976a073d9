"""`trunkline read`: one resource printed or saved; without a URI, what there is to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK, UsageError
from trunkline.cli.listing import settle, warn_of_sick
from trunkline.cli.options import NoCacheOption, Settings, with_settings
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.cli.resource_delivery import ResourceDelivery
    from trunkline.config.loading import Config


@with_settings
def read_command(
    settings: Settings,
    uri: Annotated[
        str | None, typer.Argument(metavar="[URI]", help="Without it, resources and templates are listed.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="NAME", help="Where to read. Default: the server that has it."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="PATH", help="Save it to a file or into a folder."),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the result object as the server sent it.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Print a long text whole on a terminal too.")] = False,
    no_cache: NoCacheOption = False,
) -> int:
    """Read one resource and print or save it.

    A pipe or file gets the resource to the byte. A terminal gets text only, never binary content.
    """
    return session.guarded(
        settings,
        lambda terminal: _read(uri, server, output, raw, full, settings, terminal, cache=not no_cache),
    )


def _read(
    uri: str | None,
    server: str | None,
    output: str | None,
    raw: bool,
    full: bool,
    settings: Settings,
    terminal: Terminal,
    *,
    cache: bool,
) -> int:
    from trunkline.cli.loop import run_loop
    from trunkline.cli.resource_delivery import ResourceDelivery

    if raw and (settings.as_json or output):
        raise UsageError(f"--raw and {'--json' if settings.as_json else '-o'} exclude each other")
    if uri is None and (raw or output):
        raise UsageError("which resource?", hint="Name it by its URI; `trunkline read` alone lists them.")
    delivery = ResourceDelivery(terminal, as_json=settings.as_json, raw=raw, full=full, output=output)
    config = session.load_config(settings, terminal)
    session.require_enabled(config, server or "")
    server = require_server(server, config)
    chosen = session.only(config, server)
    if uri is None:
        return run_loop(_list(chosen, settings, terminal))
    return run_loop(_perform(uri, server, chosen, settings, delivery, cache=cache))


def require_server(server: str | None, config: Config) -> str | None:
    """Give the server that `--server` names.

    Raises:
        UsageError: there is none of this name.
    """
    names = session.server_names(config)
    if server is not None and server not in names:
        raise UsageError(
            f"there is no server {server!r}", hint=f"Configured are: {', '.join(names) or 'none'}."
        )
    return server


async def _perform(
    uri: str,
    server: str | None,
    config: Config,
    settings: Settings,
    delivery: ResourceDelivery,
    *,
    cache: bool,
) -> int:
    from trunkline.cli.progress import ProgressLine

    async with session.open_trunk(config) as trunk:
        with ProgressLine(delivery.terminal.note, verbose=bool(settings.verbose)) as show:
            reply = await trunk.read(uri, server, settings.timeout, on_progress=show, cache=cache)
        return delivery.deliver(reply)


async def _list(config: Config, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.envelope import resources_document
    from trunkline.cli.offers import render_resources

    async with session.open_trunk(config) as trunk:
        await settle(trunk, None, settings, lists=True)
        catalog = trunk.catalog
        session.remember_names(trunk, config)
        if settings.as_json:
            terminal.print_document(resources_document(catalog.resources, catalog.templates))
        else:
            terminal.print_text(render_resources(catalog.resources, catalog.templates, terminal.paint))
        warn_of_sick(trunk, terminal)
    return OK
