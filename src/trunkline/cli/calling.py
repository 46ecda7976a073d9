"""`trunkline call`: one tool called with arguments from the command line, and its reply printed or saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from trunkline.cli import session
from trunkline.cli.exits import UsageError
from trunkline.cli.options import NoCacheOption, Settings, with_settings
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.cli.arguments import Given


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """What the options of `call` alone ask for."""

    output: str | None = None
    raw: bool = False
    curl: bool = False
    """Whether the request is printed and nothing is called."""
    stream: bool = False
    yes: bool = False
    """Whether the person has agreed beforehand to a tool that may destroy something."""
    full: bool = False
    no_cache: bool = False
    """Whether the server is asked although an answer may be kept."""
    detach: bool = False
    """Whether to print the handle of the server's task instead of waiting for the reply."""


@with_settings
def call_command(
    settings: Settings,
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
    stream: Annotated[
        bool, typer.Option("--stream", help="Show progress as it comes; with --json as lines of JSON.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Print a long text whole on a terminal too.")] = False,
    detach: Annotated[
        bool,
        typer.Option("--detach", help="If the server makes a task of it, print its handle and do not wait."),
    ] = False,
    no_cache: NoCacheOption = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask before a destructive tool.")] = False,
) -> int:
    """Call one tool and print its reply.

    Without arguments they are read from standard input, if that is not a terminal: one JSON object.
    """
    options = CallOptions(
        output=output,
        raw=raw,
        curl=curl,
        stream=stream,
        yes=yes,
        full=full,
        detach=detach,
        no_cache=no_cache,
    )
    return session.guarded(
        settings, lambda terminal: _call([tool, *(arguments or ())], options, settings, terminal)
    )


def _call(words: list[str], options: CallOptions, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.delivery import Delivery
    from trunkline.cli.loop import run_loop
    from trunkline.cli.one_call import perform
    from trunkline.cli.selectors import select_tool

    if options.raw and (settings.as_json or options.output):
        raise UsageError(f"--raw and {'--json' if settings.as_json else '-o'} exclude each other")
    if options.curl and (settings.as_json or options.output or options.raw):
        raise UsageError("--curl excludes --json, --raw and -o", hint="It calls nothing.")
    if options.detach and (options.stream or options.curl):
        raise UsageError(f"--detach and {'--stream' if options.stream else '--curl'} exclude each other")
    delivery = Delivery(
        terminal, as_json=settings.as_json, raw=options.raw, full=options.full, output=options.output
    )
    config = session.load_config(settings, terminal)
    session.require_enabled(config, words[0])
    described = session.described_server(config, settings)
    selector, rest = select_tool(words, session.server_names(config), default=described)
    given = _read_arguments(rest)
    chosen = session.only(config, selector.server)
    if options.curl:
        from trunkline.cli.curl import print_request

        return run_loop(print_request(selector, given, chosen, settings, terminal))
    return run_loop(perform(selector, given, chosen, options, settings, delivery))


def _read_arguments(words: Sequence[str]) -> Given:
    import sys

    from trunkline.cli.arguments import STDIN, Given, parse_arguments, parse_stdin

    if words:
        return parse_arguments(words, read_argument)
    if sys.stdin is None or sys.stdin.isatty():
        return Given()
    try:
        return parse_stdin(read_argument(STDIN))
    except UnicodeDecodeError as error:
        raise UsageError("standard input is not UTF-8 text") from error


def read_argument(path: str) -> str:
    """Give the text of a file, or of standard input for `-`; raises OSError or UnicodeDecodeError."""
    import sys
    from pathlib import Path

    data = sys.stdin.buffer.read() if path == "-" else Path(path).expanduser().read_bytes()
    return data.decode()
