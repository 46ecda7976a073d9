"""`trunkline import`: the servers of other programs, linked to or copied."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK, UsageError
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
    from trunkline.config.hosts.plan import PlannedFile, PlannedServer
    from trunkline.config.writing import Written


def import_command(
    ctx: typer.Context,
    programs: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="PROGRAM,...",
            help="claude-desktop, claude-code, cursor, vscode, "
            "windsurf, codex, gemini, zed, goose. Default: all.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen; change nothing.")
    ] = False,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the entries instead of linking the files.")
    ] = False,
    unlink: Annotated[bool, typer.Option("--unlink", help="Remove the links to these programs.")] = False,
    scope: Annotated[
        str | None,
        typer.Option("-s", "--scope", metavar="SCOPE", help="With --copy: user (default), project or local."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Use the servers that other programs on this machine have.

    Their files are read where they are, now and whenever Trunkline starts, and never written: what is
    written down is only a link. Servers of our own files win a name.
    """
    settings = settings_of(ctx, config=config, as_json=as_json, timeout=timeout, verbose=verbose)

    def work(terminal: Terminal) -> int:
        named = _read_programs(programs or [])
        if unlink and (copy or scope or dry_run):
            raise UsageError("--unlink goes with --from alone")
        if unlink:
            return _unlink(named, terminal)
        if scope and not copy:
            raise UsageError("--scope goes with --copy: a link always belongs to the user")
        if settings.config and not copy:
            raise UsageError("--config goes with --copy: a link always belongs to the user")
        return _import(named, scope if copy else None, copy, dry_run, settings, terminal)

    return session.guarded(settings, work)


def _read_programs(words: list[str]) -> list[str]:
    from trunkline.config.hosts.program import PROGRAMS
    from trunkline.config.wording import nearest

    named = [part.strip().lower() for word in words for part in word.split(",") if part.strip()]
    for name in named:
        if name not in PROGRAMS:
            close = nearest(name, PROGRAMS, cutoff=0.5)
            hint = f"Did you mean {close!r}?" if close else f"Programs are {', '.join(PROGRAMS)}."
            raise UsageError(f"there is no program {name!r} to import from", hint=hint)
    return [key for key in PROGRAMS if key in named] if named else list(PROGRAMS)


def _import(
    programs: list[str], scope: str | None, copy: bool, dry_run: bool, settings: Settings, terminal: Terminal
) -> int:
    from trunkline.cli.hosting_table import import_document, render_import
    from trunkline.cli.style import choose_paint
    from trunkline.config.hosts.plan import plan_import

    planned = plan_import(programs, Path.cwd(), os.environ, copying=copy)
    _require_any(planned)
    written, count = None, 0
    if copy:
        written, count = _copy(planned, scope, dry_run, settings, terminal)
    else:
        written, count = _link(planned, dry_run)
    if settings.as_json:
        terminal.print_document(import_document(planned, written, copy=copy, dry_run=dry_run, count=count))
        return OK
    terminal.note(render_import(planned, choose_paint(sys.stderr, os.environ), copy=copy))
    _report(terminal, written, count, copy=copy, dry_run=dry_run)
    return OK


def _require_any(planned: list[PlannedFile]) -> None:
    """Refuse an import that finds nothing at all, or nothing but broken files."""
    from trunkline.errors import ConfigError

    there = [file for file in planned if file.state != "missing"]
    if not there:
        places = ", ".join(str(file.file.path) for file in planned)
        raise ConfigError(f"nothing to import: there is no {places}", hint="Name other programs with --from.")
    errors = [file.error for file in there if file.error is not None]
    if len(errors) == len(there):
        raise errors[0]


def _link(planned: list[PlannedFile], dry_run: bool) -> tuple[Written | None, int]:
    from trunkline.config.hosts.importing import link_files

    files = [file.file for file in planned if file.state == "new"]
    if dry_run or not files:
        return None, len(files)
    return link_files(files, os.environ), len(files)


def _copy(
    planned: list[PlannedFile], scope: str | None, dry_run: bool, settings: Settings, terminal: Terminal
) -> tuple[Written | None, int]:
    from trunkline.cli.hosting import choose_target
    from trunkline.config.hosts.importing import copy_servers

    target = choose_target(scope, settings, default="user")
    chosen = [server for file in planned for server in file.servers if server.state == "new"]
    if target.scope in ("project", "named"):
        _warn_of_secrets(chosen, target.path, terminal)
    if dry_run or not chosen:
        return None, len(chosen)
    written, copied = copy_servers(
        chosen, target.path, workspace=target.workspace, private=target.private, environ=os.environ
    )
    return written, len(copied)


def _warn_of_secrets(servers: list[PlannedServer], path: Path, terminal: Terminal) -> None:
    from trunkline.cli.hosting_entry import plain_secrets
    from trunkline.cli.render import line

    for server in servers:
        raw = server.definition.raw if server.definition is not None else None
        for sentence in plain_secrets(server.name, raw) if isinstance(raw, dict) else ():
            terminal.warn(line(f"{path}: {server.name}: {sentence}"))


def _report(terminal: Terminal, written: Written | None, count: int, *, copy: bool, dry_run: bool) -> None:
    from trunkline.cli.hosting import note_undo
    from trunkline.cli.render import line

    what = f"{count} {'server' if copy else 'file'}{'' if count == 1 else 's'}"
    if dry_run:
        terminal.note(f"would {'copy' if copy else 'link'} {what}; nothing was changed")
    elif written is None or written.undo is None:
        terminal.note("nothing new; nothing was changed")
    else:
        terminal.note(line(f"{'copied' if copy else 'linked'} {what} in {written.file}"))
        note_undo(terminal, written)


def _unlink(programs: list[str], terminal: Terminal) -> int:
    from trunkline.cli.hosting import report_change
    from trunkline.config.hosts.importing import unlink_files

    written, removed = unlink_files(programs, os.environ)
    names = ", ".join(str(link.path) for link in removed)
    sentence = f"unlinked {names}" if removed else "nothing is linked from there; nothing was changed"
    report_change(terminal, written, sentence, {"unlinked": [str(link.path) for link in removed]})
    return OK
