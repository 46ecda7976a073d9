"""The `trunkline` program: its commands, the options before them, and the way it ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import typer
from typer.main import get_command

from trunkline._version import __version__
from trunkline.cli.commands import COMPLETE, CommandGroup
from trunkline.cli.diagnostics import with_diagnostics
from trunkline.cli.exits import INTERNAL, OK, USAGE, UsageError
from trunkline.cli.options import Settings, with_settings
from trunkline.cli.terminal import Terminal, prepare_streams

app = typer.Typer(
    name="trunkline",
    cls=CommandGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    invoke_without_command=True,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        Terminal(Settings()).print_text(f"trunkline {__version__}")
        raise typer.Exit


@app.callback()
@with_diagnostics
@with_settings
def trunkline(
    ctx: typer.Context,
    settings: Settings,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> int:
    """List, search and call the tools of MCP servers. Without a command: the same as `list`.

    The servers come from --config, or else from .mcp.json, mcp.json or .vscode/mcp.json of the nearest
    folder upward, and from the user's own file; or --http, --sse, --ws or --stdio describe one.
    """
    ctx.obj = settings
    if ctx.invoked_subcommand:
        return OK
    from trunkline.cli.listing import list_everything

    return list_everything(settings)


def main(argv: Sequence[str]) -> int:
    """Run one command line, without the program's name, and give its exit code."""
    prepare_streams()
    if argv[:1] == [COMPLETE]:
        from trunkline.cli.completing import complete

        return complete(argv[1:])
    terminal = Terminal(Settings(as_json="--json" in _before_separator(argv)))
    try:
        code = _program().main(list(argv), prog_name="trunkline", standalone_mode=False)
    except typer.TyperException as error:
        terminal.fail(_usage_error(error))
        return USAGE
    except typer.Abort:
        return INTERNAL
    return code if isinstance(code, int) else OK


def run() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


@cache
def _program() -> Any:
    return get_command(app)


def _before_separator(argv: Sequence[str]) -> Sequence[str]:
    words = list(argv)
    return words[: words.index("--")] if "--" in words else words


def _usage_error(error: typer.TyperException) -> UsageError:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "trunkline"
    nearest = getattr(error, "possibilities", None)
    message = (error.message if nearest else error.format_message()).strip()
    message = message[:1].lower() + message[1:].rstrip(".")
    if nearest:
        message += f"; did you mean {nearest[0]!r}?"
    return UsageError(message, hint=f"`{command} --help` shows the usage.")
