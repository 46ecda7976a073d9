"""`trunkline add`, `add-json` and `remove`: one server written into, or taken out of, a server file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK, UsageError
from trunkline.cli.hosting_grammar import GrammarCommand
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
    from trunkline.cli.hosting import Target

ScopeOption = Annotated[
    str | None,
    typer.Option(
        "-s", "--scope", metavar="SCOPE", help="local (you, in this project), project (shared) or user."
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What to call the server.")]


def add_command(
    ctx: typer.Context,
    name: NameArgument,
    command: Annotated[
        list[str], typer.Argument(metavar="[--] COMMAND [ARGUMENT]... | URL", help="The program, or a URL.")
    ],
    transport: Annotated[
        str | None,
        typer.Option("-t", "--transport", metavar="KIND", help="stdio, http or sse. Default: as it looks."),
    ] = None,
    scope: ScopeOption = None,
    env: Annotated[
        list[str] | None,
        typer.Option("-e", "--env", metavar="K=V", help="Variable of the program; repeatable."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("-H", "--header", metavar="K: V", help="Header sent to the URL; repeatable."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Add a server to a file, by default for you in this project only.

    The grammar is that of `claude mcp add`: options come first or last, and `--` stands before a command
    with options of its own.
    """
    from trunkline.cli.hosting_entry import build_entry

    settings = settings_of(ctx, config=config, as_json=as_json, timeout=timeout, verbose=verbose)

    def work(terminal: Terminal) -> int:
        entry = build_entry(command[0], command[1:], transport=transport, env=env or (), headers=header or ())
        return _add(name, entry, scope, settings, terminal)

    return session.guarded(settings, work)


def add_json_command(
    ctx: typer.Context,
    name: NameArgument,
    entry: Annotated[str, typer.Argument(metavar="JSON", help="The entry, as in a server file.")],
    scope: ScopeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Add a server whose entry is given as JSON."""
    from trunkline.cli.hosting_entry import parse_entry

    settings = settings_of(ctx, config=config, as_json=as_json, timeout=timeout, verbose=verbose)
    return session.guarded(
        settings, lambda terminal: _add(name, parse_entry(entry), scope, settings, terminal)
    )


def remove_command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The server.")],
    scope: ScopeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Remove a server from the file it stands in."""
    settings = settings_of(ctx, config=config, as_json=as_json, timeout=timeout, verbose=verbose)
    return session.guarded(settings, lambda terminal: _remove(name, scope, settings, terminal))


add_command.command_class = GrammarCommand  # type: ignore[attr-defined]


def _add(
    name: str, entry: Mapping[str, Any], scope: str | None, settings: Settings, terminal: Terminal
) -> int:
    from trunkline.cli.hosting import choose_target, report_change
    from trunkline.cli.hosting_entry import check_entry, plain_secrets
    from trunkline.cli.render import line
    from trunkline.config.hosts.plan import kind_of
    from trunkline.config.server_text import add_server
    from trunkline.config.writing import rewrite

    missing = check_entry(name, entry)
    target = choose_target(scope, settings, default="local")
    hidden = _hidden(target)
    written = rewrite(
        target.path,
        lambda text: add_server(text, name, entry, source=str(target.path)),
        environ=os.environ,
        private=target.private,
    )
    warnings = [*plain_secrets(name, entry), *([missing] if missing else []), *hidden]
    for warning in [*warnings, *_shadowed(name, target)]:
        terminal.warn(line(warning))
    kind = kind_of(entry)
    document = {"server": name, "scope": target.scope, "type": kind}
    sentence = f"added the {kind} server {name} to {target.path} ({target.scope})"
    report_change(terminal, written, sentence, document)
    return OK


def _hidden(target: Target) -> list[str]:
    """Say which project files further up are read no more once there is one here."""
    from trunkline.config.discovery import discover, user_file

    if target.scope != "project" or target.path.exists():
        return []
    found = [
        path for path in discover(Path.cwd(), os.environ, required=False) if path != user_file(os.environ)
    ]
    return [
        f"{path} is not read here any more: {target.path} is nearer"
        for path in found
        if path.parent not in (target.path.parent, target.path.parent / ".vscode")
    ]


def _shadowed(name: str, target: Target) -> list[str]:
    """Say whether another file has the same name, and which of the two is used."""
    from trunkline.cli.hosting import read_definitions
    from trunkline.errors import ConfigError

    if target.scope == "named":
        return []
    try:
        definitions = [definition for key, definition in read_definitions(Settings()) if key == name]
    except ConfigError as error:
        return [str(error)]
    others = [one.origin.source for one in definitions if one.origin.source != str(target.path)]
    if definitions and definitions[0].origin.source != str(target.path):
        return [f"{name} is not used here: {definitions[0].origin.source} defines it first"]
    return [f"{name} is now used in place of the one in {other}" for other in others]


def _remove(name: str, scope: str | None, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.hosting import report_change
    from trunkline.config.server_text import remove_server
    from trunkline.config.writing import rewrite

    path, where = _find_removable(name, scope, settings)
    written = rewrite(path, lambda text: remove_server(text, name, source=str(path)), environ=os.environ)
    sentence = f"removed the server {name} from {path} ({where})"
    report_change(terminal, written, sentence, {"server": name, "scope": where})
    return OK


def _find_removable(name: str, scope: str | None, settings: Settings) -> tuple[Path, str]:
    """Give the one file of ours that defines a name.

    Raises:
        NotFoundError: none does.
        UsageError: several do, or it comes from a link.
    """
    from trunkline.cli.hosting import no_such_server, read_definitions, read_scope

    wanted = read_scope(scope)
    definitions = read_definitions(settings)
    named = [one.origin for key, one in definitions if key == name]
    ours = [origin for origin in named if origin.scope != "link" and (wanted or origin.scope) == origin.scope]
    files = list(dict.fromkeys((origin.file, origin.scope) for origin in ours if origin.file is not None))
    if len(files) > 1:
        places = ", ".join(f"{file} ({where})" for file, where in files)
        raise UsageError(
            f"{name} is defined in several files: {places}", hint="Say which with --scope or --config."
        )
    if files and files[0][0] is not None:
        return files[0][0], files[0][1]
    if named and named[0].scope == "link":
        hint = f"Remove it there, or unlink the program: trunkline import --from {named[0].program} --unlink"
        raise UsageError(f"{name} is linked from {named[0].source}, which is only read", hint=hint)
    raise no_such_server(name, [key for key, _ in definitions])
