"""`trunkline up` and `trunkline down`: servers kept warm in the background, for the commands that follow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK, UsageError
from trunkline.cli.options import Settings, with_settings
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.cli.warm.identity import Identity
    from trunkline.config.loading import Config
    from trunkline.runtime.control_record import Record

_IDLE = "900"


@with_settings
def up_command(
    settings: Settings,
    idle: Annotated[
        str, typer.Option("--idle", metavar="SECONDS", help="End after so long without use; 0 is never.")
    ] = _IDLE,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the servers, then show their status.")
    ] = False,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay in the foreground, for service managers.")
    ] = False,
    watch: Annotated[
        bool | None,
        typer.Option(
            "--watch/--no-watch",
            help="Follow the configuration files, or not. Default: where trunkline[watch] is installed.",
            show_default=False,
        ),
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Print the log of the background process.")] = False,
    detached: Annotated[bool, typer.Option("--detached", hidden=True)] = False,
) -> int:
    """Keep the servers running in the background, for fast commands.

    It ends after 15 minutes without use, or with `trunkline down`.
    """
    seconds = _read_idle(idle)
    if log:
        return session.guarded(settings, lambda terminal: _show_log(settings, terminal))
    if foreground or detached:
        return session.guarded(settings, lambda terminal: _stay(seconds, detached, watch, settings, terminal))
    return session.guarded(settings, lambda terminal: _up(seconds, wait, watch, settings, terminal))


@with_settings
def down_command(
    settings: Settings,
    every: Annotated[
        bool, typer.Option("--all", help="End the background processes of every folder.")
    ] = False,
) -> int:
    """End the background process of `trunkline up`.

    Running calls get a few seconds to finish.
    """
    return session.guarded(settings, lambda terminal: _down(every, settings, terminal))


def _up(idle: float, wait: bool, watch: bool | None, settings: Settings, terminal: Terminal) -> int:
    from os import environ

    from trunkline.cli.loop import run_loop
    from trunkline.cli.status import report_status
    from trunkline.cli.warm.attachment import is_taken_up, use
    from trunkline.cli.warm.launch import find, launch, not_found
    from trunkline.runtime.control_record import make_folder

    watching = "--watch" if _follows(watch) else "--no-watch"
    config, identity = _read(settings, terminal)
    folder = make_folder(environ)
    link = find(folder, identity.name, identity.digest)
    if link is None and is_taken_up(folder, identity):
        link = find(folder, identity.name, identity.digest)
    started = link is None
    if link is None:
        profile = [f"--profile={settings.profile}"] if settings.profile is not None else []
        launch([f"--idle={idle:g}", watching, *profile, *(f"--config={name}" for name in settings.config)])
        link = find(folder, identity.name, identity.digest, patience=5.0)
    if link is None:
        raise not_found(folder, identity.name)
    use(link)
    terminal.note(_say(link.pid, len(config.entries), idle, started=started))
    if wait:
        return run_loop(report_status(config, settings, terminal))
    if settings.as_json:
        terminal.print_document({"ok": True, "pid": link.pid, "started": started})
    return OK


def _say(pid: int, servers: int, idle: float, *, started: bool) -> str:
    count = f"{servers} server{'' if servers == 1 else 's'}"
    if not started:
        return f"trunkline: process {pid} keeps {count} warm already"
    end = f"it ends after {idle:g} s without use" if idle else "`trunkline down` ends it"
    return f"trunkline: process {pid} keeps {count} warm; {end}"


def _stay(idle: float, detached: bool, watch: bool | None, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.warm.background import keep_warm
    from trunkline.cli.warm.identity import identify
    from trunkline.cli.warm.renewal import ConfigFiles

    place = ConfigFiles(names=tuple(settings.config), profile=settings.profile)
    files = place if _follows(watch) else None
    if detached:
        config = session.read_config(settings.config, settings.profile)
        return keep_warm(config, identify(config), idle=idle, detached=True, files=files)
    config, identity = _read(settings, terminal)
    return keep_warm(config, identity, idle=idle, detached=False, files=files)


def _follows(watch: bool | None) -> bool:
    """Whether to follow the files: as asked, else where that is possible.

    Raises:
        ConfigError: it is asked for and not possible.
    """
    from trunkline.runtime.folder_watch import has_watchfiles, require_watchfiles

    if watch:
        require_watchfiles()
    return has_watchfiles() if watch is None else watch


def _show_log(settings: Settings, terminal: Terminal) -> int:
    from os import environ

    from trunkline.cli.sources import sources_of
    from trunkline.cli.warm.logfile import newest_log, read_log, state_folder

    log = newest_log(state_folder(environ), sources_of(settings))
    if log is None:
        terminal.note("trunkline: there is no log: `trunkline up` has not run with this configuration")
    else:
        terminal.print_text(read_log(log).rstrip("\n"))
    return OK


def _down(every: bool, settings: Settings, terminal: Terminal) -> int:
    from os import environ
    from pathlib import Path

    from trunkline.cli.render import line
    from trunkline.cli.warm.launch import end
    from trunkline.runtime import control_place as place
    from trunkline.runtime.control_record import living

    _require_support(settings)
    serves = (lambda _: True) if every else _serving(settings)
    folder = Path(place.folder_of(environ))
    records = living(folder) if place.is_ours(str(folder)) else []
    wanted = [record for record in records if serves(record)]
    for record in wanted:
        end(folder, record)
        terminal.note(f"trunkline: ended process {record.pid} of {line(', '.join(record.sources))}")
    if not wanted:
        terminal.note("trunkline: no background process runs" + ("" if every else " for this configuration"))
    if settings.as_json:
        terminal.print_document({"ok": True, "ended": [record.pid for record in wanted]})
    return OK


def _read(settings: Settings, terminal: Terminal) -> tuple[Config, Identity]:
    from trunkline.cli.warm.identity import identify

    _require_support(settings)
    config = session.load_config(settings, terminal)
    return config, identify(config)


def _serving(settings: Settings) -> Callable[[Record], bool]:
    """Give a test for the processes of these files; of a URL, which is no file, only for its very own."""
    from trunkline.cli.sources import sources_of
    from trunkline.cli.warm.identity import identify
    from trunkline.config.source import ARGUMENT

    sources = sources_of(settings)
    if ARGUMENT not in sources:
        return lambda record: record.sources == sources
    digest = identify(session.read_config(settings.config, settings.profile)).digest
    return lambda record: record.digest == digest


def _require_support(settings: Settings) -> None:
    from trunkline.cli.adhoc import describe_server
    from trunkline.runtime import control_place as place

    if describe_server(settings) is not None:
        raise UsageError(
            "a server described by options is not kept warm", hint="Write it into a file: `trunkline add`."
        )

    if not place.is_supported():
        raise UsageError("`up` and `down` need fork and Unix sockets, which this system does not have")


def _read_idle(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise typer.BadParameter(f"{text!r} is not a number of seconds, 0 or more")
    return seconds
