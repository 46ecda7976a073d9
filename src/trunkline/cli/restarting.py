"""`trunkline restart`: servers of a running runtime, started anew."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK, UsageError, exit_code
from trunkline.cli.options import Settings, with_settings
from trunkline.cli.runtimes import RuntimeOption
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.errors import TrunklineError
    from trunkline.runtime.control_inspection import Inspector
    from trunkline.supervision.restarting import Restarted

_START = 60.0


@with_settings
def restart_command(
    settings: Settings,
    servers: Annotated[list[str] | None, typer.Argument(metavar="SERVER", help="Which ones.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All servers of the runtime.")] = False,
    grace: Annotated[
        float,
        typer.Option("--grace", metavar="SECONDS", min=0, help="Time for calls in flight to end."),
    ] = 5.0,
    runtime: RuntimeOption = None,
) -> int:
    """Start servers of a running runtime anew, one after the other, and wait until each is ready.

    New calls wait for the new start. Calls that do not end within the grace are cut, which is told: their
    outcome is unknown.
    """

    def work(terminal: Terminal) -> int:
        from trunkline.cli.runtimes import asking, choose, note_choice
        from trunkline.cli.server_logs import require_known

        if every == bool(servers):
            raise UsageError("name the servers to restart, or --all")
        record = choose(settings, runtime)
        note_choice(record, terminal)
        with asking(record) as inspector:
            known = inspector.status()
            require_known(servers or (), known)
            return _restart(inspector, servers or list(known), grace, settings, terminal)

    return session.guarded(settings, work)


def _restart(
    inspector: Inspector, servers: list[str], grace: float, settings: Settings, terminal: Terminal
) -> int:
    from trunkline.errors import TrunklineError

    code, documents = OK, []
    for server in dict.fromkeys(servers):
        begun = time.monotonic()
        try:
            report = inspector.restart(server, grace=grace, timeout=settings.timeout or grace + _START)
        except TrunklineError as error:
            code = code or exit_code(error)
            documents.append(_failed(server, error))
            if not settings.as_json:
                terminal.fail(error)
            continue
        seconds = time.monotonic() - begun
        documents.append(_document(report, seconds))
        if not settings.as_json:
            terminal.print_text(_render(report, seconds))
    if settings.as_json:
        terminal.print_document({"ok": code == OK, "restarted": documents})
    return code


def _render(report: Restarted, seconds: float) -> str:
    from trunkline.cli.render import line

    text = f"{line(report.server)}: ready again after {seconds:.1f} s"
    if report.finished:
        text += f"; {_count(report.finished)} ended before"
    if report.cut:
        text += f"; {_count(report.cut)} {'was' if report.cut == 1 else 'were'} cut: outcome unknown"
    return text


def _count(calls: int) -> str:
    return f"{calls} call{'' if calls == 1 else 's'}"


def _document(report: Restarted, seconds: float) -> dict[str, Any]:
    return {
        "server": report.server,
        "ok": True,
        "duration_ms": round(seconds * 1000, 3),
        "finished": report.finished,
        "cut": report.cut,
        "error": None,
    }


def _failed(server: str, error: TrunklineError) -> dict[str, Any]:
    from trunkline.cli.envelope import error_document

    failure: dict[str, Any] = {"server": server, "ok": False, "error": error_document(error)["error"]}
    return failure
