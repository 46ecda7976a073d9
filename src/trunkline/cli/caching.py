"""`trunkline cache`: what is remembered of servers between runs, shown and forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from trunkline.cli import session
from trunkline.cli.caching_answers import forget_answers, kept_answers
from trunkline.cli.exits import OK
from trunkline.cli.options import ConfigOption, JsonOption, Settings, VerboseOption, settings_of
from trunkline.cli.terminal import Terminal
from trunkline.cli.values import LeanCommand, LeanGroup

if TYPE_CHECKING:
    from trunkline.config.checking import Problem
    from trunkline.config.loading import Config
    from trunkline.store.files import FileStore

cache = typer.Typer(
    name="cache",
    cls=LeanGroup,
    help="Show or forget what is remembered of servers between runs. Starts no server.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@cache.command("show", cls=LeanCommand)
def show(ctx: typer.Context, as_json: JsonOption = False, verbose: VerboseOption = False) -> int:
    """Show the folder, how much is in it, and of which servers."""
    settings = settings_of(ctx, as_json=as_json, verbose=verbose)
    return session.guarded(settings, lambda terminal: _show(settings, terminal))


@cache.command("clear", cls=LeanCommand)
def clear(
    ctx: typer.Context,
    servers: Annotated[
        list[str] | None, typer.Argument(metavar="SERVER", help="What to forget; without any, everything.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Forget everything, or some servers."""
    settings = settings_of(ctx, config=config, as_json=as_json, verbose=verbose)
    return session.guarded(settings, lambda terminal: _clear_usable(servers or [], settings, terminal))


def find_problem(environ: Mapping[str, str]) -> Problem | None:
    """Say why nothing can be remembered, unless that is wanted; changes nothing."""
    from trunkline.config.caches import is_switched_off
    from trunkline.config.checking import Problem

    if is_switched_off(environ):
        return None
    store = _store(environ)
    try:
        store.check()
    except OSError as error:
        return Problem(
            severity="warning",
            message=f"nothing is remembered between runs: {error.strerror or error}",
            hint="Make it a folder of your own, set XDG_CACHE_HOME, or set TRUNKLINE_NO_CACHE=1.",
            source=str(store.folder),
        )
    return None


def warn_of_problem(terminal: Terminal) -> None:
    """Say in one line why nothing can be remembered, if so."""
    from os import environ

    from trunkline.cli.render import line

    if (problem := find_problem(environ)) is not None:
        terminal.warn(line(f"{problem.message} ({problem.source}); {problem.hint}"))


def _show(settings: Settings, terminal: Terminal) -> int:
    from os import environ
    from time import time

    from trunkline.cli.caching_view import cache_view, render_cache
    from trunkline.config.caches import is_switched_off

    problem = find_problem(environ)
    reason = None if problem is None else problem.message
    enabled = not is_switched_off(environ)
    view = cache_view(_store(environ), time(), problem=reason, enabled=enabled)
    view["answers"] = kept_answers(environ)
    if settings.as_json:
        terminal.print_document({"ok": True, **view})
    else:
        terminal.print_text(render_cache(view, terminal.paint))
    return OK


def _clear_usable(servers: list[str], settings: Settings, terminal: Terminal) -> int:
    from os import environ

    from trunkline.errors import ConfigError

    try:
        return _clear(servers, settings, terminal)
    except OSError as error:
        folder = str(_store(environ).folder)
        message = f"what is remembered cannot be forgotten: {error.strerror or error}"
        hint = "Make it a folder of your own, or set XDG_CACHE_HOME."
        raise ConfigError(message, source=folder, hint=hint) from error


def _clear(servers: list[str], settings: Settings, terminal: Terminal) -> int:
    from os import environ

    from trunkline.cli.known_names import forget_names

    store = _store(environ)
    if servers:
        config = _find_config(settings)
        count = _forget(servers, store, config)
        forget_names(environ, [entry for entry in config.entries if entry.name in servers] if config else [])
    else:
        config = None
        count = len(_servers_of(entry.key for entry in store.kept()))
        store.clear()
        forget_names(environ)
    answers = forget_answers(environ, servers, config)
    if settings.as_json:
        terminal.print_document({"ok": True, "cleared": count, "answers": answers})
    else:
        terminal.print_text(f"forgot {count} {'server' if count == 1 else 'servers'} in {store.folder}")
        if answers:
            terminal.print_text(f"forgot {answers} {'answer' if answers == 1 else 'answers'} kept on disk")
    return OK


def _forget(servers: list[str], store: FileStore, config: Config | None) -> int:
    """Forget what is kept under these names, and what the servers that have them now are known as.

    Gives how many servers that were: what is run or reached, of which there may be several under a name.
    """
    from trunkline.cli.caching_view import read_entries
    from trunkline.core.principal import LOCAL
    from trunkline.errors import NotFoundError
    from trunkline.runtime.remembering import Remembering

    remembering = Remembering(store, LOCAL)
    entries = {entry.name: entry for entry in config.entries} if config else {}
    kept = read_entries(store)
    forgotten: set[str] = set()
    for server in servers:
        own = {entry.key for entry in kept if entry.server == server}
        if config is not None and server in entries:
            own.add(remembering.key_of(entries[server], config.policy))
        own = _servers_of(own)
        keys = [entry.key for entry in kept if entry.key.partition(".")[0] in own]
        if not keys and server not in entries:
            raise NotFoundError(
                "nothing is remembered of a server of this name, and none is configured",
                server=server,
                hint="`trunkline cache show` lists what is remembered.",
            )
        for key in keys:
            store.drop(key)
        forgotten |= _servers_of(keys)
    return len(forgotten)


def _servers_of(keys: Iterable[str]) -> set[str]:
    """Give the servers that memories are of: how it is reached, and what it lists, are two of one."""
    return {key.partition(".")[0] for key in keys}


def _find_config(settings: Settings) -> Config | None:
    from trunkline.errors import ConfigError

    try:
        return session.find_config(settings)
    except ConfigError:
        if settings.config:
            raise
        return None


def _store(environ: Mapping[str, str]) -> FileStore:
    from trunkline.config.caches import store_folder
    from trunkline.store.files import FileStore

    return FileStore(store_folder(environ))
