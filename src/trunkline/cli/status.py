"""`trunkline status`: how the servers are, of the runtime that runs, or started for this look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK, UsageError
from trunkline.cli.options import Settings, with_settings
from trunkline.cli.runtimes import RuntimeOption
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline.config.loading import Config
    from trunkline.core.status import ServerStatus
    from trunkline.runtime.control_inspection import Inspector
    from trunkline.runtime.control_record import Record
    from trunkline.runtime.trunk import Trunk

_INTERVAL = 2.0
_SHORTEST_INTERVAL = 0.1


@with_settings
def status_command(
    settings: Settings,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on showing it; when piped, one line for each change.")
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option("--interval", metavar="SECONDS", help="Time between two looks. Default: 2."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every runtime of yours that runs.")] = False,
    runtime: RuntimeOption = None,
) -> int:
    """Show the state of every server as a table.

    Asks the runtime that runs with this configuration; where none does, the servers are started for this
    look. With --watch, --timeout ends the watching.
    """

    def work(terminal: Terminal) -> int:
        if interval is not None and not watch:
            raise UsageError("--interval needs --watch")
        pause = max(interval or _INTERVAL, _SHORTEST_INTERVAL) if watch else None
        if every:
            if watch or runtime:
                raise UsageError("--all shows every runtime once; --runtime PID --watch watches one")
            return _show_all(settings, terminal)
        return _show(pause, runtime, settings, terminal)

    return session.guarded(settings, work)


async def report_status(config: Config, settings: Settings, terminal: Terminal) -> int:
    """Wait for the servers and print the table."""
    from trunkline.cli.caching import warn_of_problem
    from trunkline.cli.listing import settle
    from trunkline.cli.warm.attachment import is_attached

    async with session.open_trunk(config) as trunk:
        await settle(trunk, None, settings, lists=True, lazy=False)
        session.remember_names(trunk, config)
        _print(trunk.status(), settings, terminal, lasting=is_attached())
        warn_of_problem(terminal)
    return OK


def _show(pause: float | None, runtime: str | None, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.loop import run_loop
    from trunkline.cli.runtimes import asking, choose, note_choice

    record = choose(settings, runtime) if runtime else None
    if record is None:
        config = session.load_config(settings, terminal)
        record = _asked_instead(settings)
    if record is None:
        _say_none_runs(settings, terminal)
        if pause is None:
            return run_loop(report_status(config, settings, terminal))
        return run_loop(_watch(config, pause, settings, terminal))
    note_choice(record, terminal)
    with asking(record) as inspector:
        if pause is None:
            _print(inspector.status(), settings, terminal, lasting=True)
            return OK
        return run_loop(_watch_asked(inspector, pause, settings, terminal))


def _asked_instead(settings: Settings) -> Record | None:
    """Give the program whose runtime is asked, unless the command has warm servers or wants its own."""
    from trunkline.cli.adhoc import describe_server
    from trunkline.cli.runtimes import library_of
    from trunkline.cli.warm.attachment import is_attached
    from trunkline.runtime import control_place as place

    own = settings.no_daemon or settings.wire is not None or describe_server(settings) is not None
    return None if own or is_attached() or not place.is_supported() else library_of(settings)


def _say_none_runs(settings: Settings, terminal: Terminal) -> None:
    from trunkline.cli.adhoc import describe_server
    from trunkline.cli.warm.attachment import has_warned, is_attached

    own = settings.no_daemon or describe_server(settings) is not None
    if not (own or is_attached() or has_warned()):
        terminal.note(
            "trunkline: no runtime runs for this configuration: servers are started for this look; "
            "`trunkline up` keeps them"
        )


def _print(
    statuses: Mapping[str, ServerStatus], settings: Settings, terminal: Terminal, *, lasting: bool
) -> None:
    from trunkline.cli.envelope import servers_document
    from trunkline.cli.render import render_status, sick_warning

    if settings.as_json:
        terminal.print_document(servers_document(statuses))
    else:
        terminal.print_text(render_status(statuses, terminal.paint, lasting=lasting))
    if (warning := sick_warning(statuses)) is not None:
        terminal.warn(warning)


def _show_all(settings: Settings, terminal: Terminal) -> int:
    """Show every runtime; one that does not answer is a warning and holds up the others for a moment only."""
    from trunkline.cli.render import render_status
    from trunkline.cli.runtimes import START, describe_fully, running

    found = [(record, *_look(record)) for record in running()]
    if settings.as_json:
        terminal.print_document({"ok": True, "runtimes": [_document(*one) for one in found]})
        return OK
    for record, statuses, trouble in found:
        terminal.print_text(terminal.paint(describe_fully(record), "strong"))
        if statuses is not None:
            terminal.print_text(render_status(statuses, terminal.paint, lasting=True))
        if trouble:
            terminal.warn(trouble)
    if not found:
        terminal.note(f"trunkline: no runtime runs; {START}")
    return OK


def _look(record: Record) -> tuple[dict[str, ServerStatus] | None, str | None]:
    from trunkline.cli.render import line
    from trunkline.cli.runtimes import asking
    from trunkline.errors import TrunklineError

    try:
        with asking(record) as inspector:
            return inspector.status(), None
    except TrunklineError as error:
        return None, line(str(error))


def _document(
    record: Record, statuses: Mapping[str, ServerStatus] | None, trouble: str | None
) -> dict[str, Any]:
    from trunkline.cli.envelope import server_document

    return {
        "pid": record.pid,
        "name": record.name,
        "kind": record.kind,
        "program": record.program,
        "version": record.version,
        "sources": list(record.sources),
        "folder": record.folder,
        "servers": [server_document(name, status) for name, status in (statuses or {}).items()],
        "error": trouble,
    }


async def _watch(config: Config, pause: float, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.watching import watch_status

    async with session.open_trunk(config) as trunk:
        return await watch_status(trunk, terminal, interval=pause, duration=settings.timeout)


async def _watch_asked(inspector: Inspector, pause: float, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.watching import watch_status

    asked = cast("Trunk", _Asked(inspector))
    await session.refresh_status(asked)
    return await watch_status(asked, terminal, interval=pause, duration=settings.timeout)


class _Asked:
    """What watching uses of a `Trunk`, answered by another process."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._statuses: dict[str, ServerStatus] = {}

    async def ready(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait for nothing: it runs already."""

    def status(self) -> dict[str, ServerStatus]:
        """Give what was said last."""
        return self._statuses

    async def refresh_status(self) -> None:
        """Ask; where it hangs, Ctrl-C still ends the command."""
        import asyncio

        self._statuses = await asyncio.to_thread(self._inspector.status)
