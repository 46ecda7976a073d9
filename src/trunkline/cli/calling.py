"""`trunkline call`: one tool called with arguments from the command line, and its reply printed or saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trunkline.cli import session
from trunkline.cli.exits import UsageError
from trunkline.cli.listing import saying_who_is_sick
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
    from trunkline.cli.arguments import Given
    from trunkline.cli.delivery import Delivery
    from trunkline.cli.selectors import Selector
    from trunkline.config.loading import Config
    from trunkline.runtime.trunk import Trunk


def call_command(
    ctx: typer.Context,
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="As server.tool.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ARGUMENT]", help="key=value, key:=json, key=@file, @file, or a JSON object."
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="PATH", help="Save the reply to a file or into a folder."),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the result object as the server sent it.")
    ] = False,
    curl: Annotated[
        bool, typer.Option("--curl", help="Print the HTTP request as a curl command; call nothing.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Call one tool and print its reply.

    Without arguments they are read from standard input, if that is not a terminal: one JSON object.
    """
    settings = settings_of(ctx, config=config, as_json=as_json, timeout=timeout, verbose=verbose)
    return session.guarded(
        settings, lambda terminal: _call([tool, *(arguments or ())], output, raw, curl, settings, terminal)
    )


def _call(
    words: list[str], output: str | None, raw: bool, curl: bool, settings: Settings, terminal: Terminal
) -> int:
    from trunkline.cli.delivery import Delivery
    from trunkline.cli.loop import run_loop
    from trunkline.cli.selectors import select_tool

    if raw and (settings.as_json or output):
        raise UsageError(f"--raw and {'--json' if settings.as_json else '-o'} exclude each other")
    if curl and (settings.as_json or output or raw):
        raise UsageError("--curl excludes --json, --raw and -o", hint="It calls nothing.")
    delivery = Delivery(terminal, as_json=settings.as_json, raw=raw, output=output)
    config = session.load_config(settings, terminal)
    session.require_enabled(config, words[0])
    selector, rest = select_tool(words, session.server_names(config))
    given = _read_arguments(rest)
    chosen = session.only(config, selector.server)
    if curl:
        from trunkline.cli.curl import print_request

        return run_loop(print_request(selector, given, chosen, settings, terminal))
    return run_loop(_perform(selector, given, chosen, settings, delivery))


async def _perform(
    selector: Selector, given: Given, config: Config, settings: Settings, delivery: Delivery
) -> int:
    from asyncio import get_running_loop

    from trunkline.cli.arguments import needs_schema, resolve_arguments
    from trunkline.cli.progress import ProgressLine

    clock = get_running_loop().time
    async with session.open_trunk(config) as trunk:
        left, started = settings.timeout, clock()
        if needs_schema(given):
            await _await_schema(trunk, selector, settings)
            left = None if left is None else max(left - (clock() - started), 0.0)
        arguments = resolve_arguments(given, _find_schema(trunk, selector))
        with (
            saying_who_is_sick(trunk, selector, delivery.terminal),
            ProgressLine(delivery.terminal.note, verbose=bool(settings.verbose)) as progress,
        ):
            reply = await trunk.call(selector.name, arguments, timeout=left, on_progress=progress.show)
        return delivery.deliver(reply)


async def _await_schema(trunk: Trunk, selector: Selector, settings: Settings) -> None:
    """Wait for the tool's definition; that its server has failed is for the call to say, which knows more."""
    from trunkline.errors import DeadlineExceededError, TrunklineError

    try:
        await trunk.ready(selector.server, timeout=settings.timeout)
    except DeadlineExceededError:
        raise
    except TrunklineError:
        return


def _find_schema(trunk: Trunk, selector: Selector) -> Mapping[str, Any] | None:
    """Give the selected tool's input schema; None leaves it to the call to say what is wrong."""
    tools = [
        tool
        for tool in trunk.catalog.tools
        if tool.name == selector.tool and selector.server in (None, tool.server)
    ]
    return tools[0].input_schema if len(tools) == 1 else None


def _read_arguments(words: Sequence[str]) -> Given:
    import sys

    from trunkline.cli.arguments import STDIN, Given, parse_arguments, parse_stdin

    if words:
        return parse_arguments(words, _read)
    if sys.stdin is None or sys.stdin.isatty():
        return Given()
    try:
        return parse_stdin(_read(STDIN))
    except UnicodeDecodeError as error:
        raise UsageError("standard input is not UTF-8 text") from error


def _read(path: str) -> str:
    import sys
    from pathlib import Path

    data = sys.stdin.buffer.read() if path == "-" else Path(path).expanduser().read_bytes()
    return data.decode()
