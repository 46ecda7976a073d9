"""The commands by name; a command's module is imported when that command runs, and not before."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any

import typer
from typer.main import get_command as build_command

from trunkline.cli.diagnostics import with_diagnostics
from trunkline.cli.values import LeanCommand, LeanGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "list": ("listing:list_command", "List the servers and, beneath each, its tools."),
    "tools": ("lookup:tools_command", "Show the tools of all servers, of one, or whose name fits."),
    "info": ("lookup:info_command", "Show everything about one tool, or about one server."),
    "search": ("searching:search_command", "Find tools by words, best first, each with its score."),
    "call": ("calling:call_command", "Call one tool and print its reply."),
    "task": ("tasking:task_command", "Look at a task that a detached call left, await it, or end it."),
    "read": ("reading:read_command", "Read one resource; without a URI, list what there is to read."),
    "prompt": ("prompting:prompt_command", "Get one prompt, filled in; without a name, list the prompts."),
    "config": ("configuring:config", "Show, explain and check the configuration."),
    "cache": ("caching:cache", "Show or forget what is remembered of servers between runs."),
    "status": ("status:status_command", "Show the state of every server as a table."),
    "logs": ("server_logs:logs_command", "Show what servers said lately, and follow it."),
    "restart": ("restarting:restart_command", "Start servers of a running runtime anew."),
    "why": ("why:why_command", "Explain a call, a server or a tool of a running runtime."),
    "doctor": ("doctoring:doctor_command", "Find out why servers do not work, and what mends them."),
    "up": ("daemon:up_command", "Keep the servers running in the background, for fast commands."),
    "down": ("daemon:down_command", "End the background process of `trunkline up`."),
    "import": ("hosting_import:import_command", "Use the servers that other programs on this machine have."),
    "add": ("hosting_add:add_command", "Add a server to a file, by default for you in this project only."),
    "add-json": ("hosting_add:add_json_command", "Add a server whose entry is given as JSON."),
    "remove": ("hosting_add:remove_command", "Remove a server from the file it stands in."),
    "get": ("hosting_get:get_command", "Show one server: its entry, its origin and the policy in force."),
    "export": ("hosting_export:export_command", "Print servers in the form of a program's file."),
    "completion": ("completion:completion_command", "Print the completion script of a shell."),
}
"""Name of the command, where its function is within this package, and its line in `--help`."""

CONNECTING = frozenset(
    {"list", "tools", "info", "search", "call", "task", "read", "prompt", "status", "doctor"}
)
"""The commands that talk to servers, and so have `--wire`."""

COMPLETE = "__complete"
"""The word that asks for the completions of a command line; only the scripts of `completion` use it."""

_kept: dict[str, Any] = {}


class CommandGroup(LeanGroup):
    """The program: `--help` reads the table, any other use builds the one command it needs."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Give the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Build one command, or give None when there is none of this name."""
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; an unknown name is answered with the nearest one."""
        name = args[0]
        if name in COMMANDS:
            return name, load_command(name), args[1:]
        return ctx.fail(f"no such command {name!r}{_suggestion(name)}")


def _suggestion(name: str) -> str:
    if nearest := get_close_matches(name, COMMANDS, n=1):
        return f"; did you mean {nearest[0]!r}?"
    return f"; to call a tool: trunkline call {name}" if any(sign in name for sign in "./:") else ""


def load_command(name: str) -> Any:
    """Import one command's module and build the command."""
    return _kept.get(name) or _build(name)


def keep_command(name: str) -> None:
    """Build one command now, for a process whose forks run many command lines."""
    _kept[name] = _build(name)


def _build(name: str) -> Any:
    module, _, function = COMMANDS[name][0].partition(":")
    target = getattr(import_module(f"trunkline.cli.{module}"), function)
    if isinstance(target, typer.Typer):
        return build_command(target)
    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    style = getattr(target, "command_class", LeanCommand)
    single.command(name, cls=style)(with_diagnostics(target, connects=name in CONNECTING))
    return build_command(single)
