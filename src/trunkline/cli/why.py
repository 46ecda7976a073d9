"""`trunkline why`: what a running runtime knows of a call, a server or a tool."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK
from trunkline.cli.options import Settings, with_settings
from trunkline.cli.runtimes import RuntimeOption
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.core.journal import CallRecord
    from trunkline.core.why import Why
    from trunkline.runtime.control_record import Record

_CALL_ID = re.compile(r"[0-9a-f]{6}-[0-9a-f]+(\.[0-9]+)*")


@with_settings
def why_command(
    settings: Settings,
    word: Annotated[
        str | None, typer.Argument(metavar="[CALL|SERVER|TOOL]", help="A call's id, a server, or a tool.")
    ] = None,
    number: Annotated[
        int, typer.Option("-n", "--calls", metavar="N", min=1, help="Without a word: the last N calls.")
    ] = 20,
    runtime: RuntimeOption = None,
) -> int:
    """Explain what became of a call, why a server is in its state, or why a tool is there or not.

    Without a word, list the last calls with their ids. The journal holds no arguments and no results.
    """

    def work(terminal: Terminal) -> int:
        from trunkline.cli.runtimes import asking, choose, note_choice

        if word is not None and runtime is None and _CALL_ID.fullmatch(word):
            return _explain_call(word, settings, terminal)
        record = choose(settings, runtime)
        note_choice(record, terminal)
        with asking(record) as inspector:
            if word is None:
                _show_calls(inspector.calls(number), settings, terminal)
            else:
                _show_why(inspector.why(word), settings, terminal)
        return OK

    return session.guarded(settings, work)


def _explain_call(call_id: str, settings: Settings, terminal: Terminal) -> int:
    """Explain a call of whichever runtime made it: ids are unique."""
    from trunkline.cli.runtimes import START, note_choice, running
    from trunkline.errors import NotFoundError, UnavailableError

    records = running()
    if not records:
        raise UnavailableError("no runtime runs", code="no_runtime", hint=START)
    silent = None
    for record in records:
        try:
            why = _ask(record, call_id)
        except NotFoundError:
            continue
        except UnavailableError as error:
            silent = error
            continue
        note_choice(record, terminal)
        _show_why(why, settings, terminal)
        return OK
    if silent is not None:
        terminal.warn(str(silent))
    raise NotFoundError(
        f"no runtime that runs knows the call {call_id}: each keeps its last 1,000",
        code="no_such_call",
        hint="`trunkline why` lists the calls that are known.",
    )


def _ask(record: Record, word: str) -> Why:
    from trunkline.cli.runtimes import asking

    with asking(record) as inspector:
        return inspector.why(word)


def _show_why(why: Why, settings: Settings, terminal: Terminal) -> None:
    from msgspec import to_builtins

    from trunkline.cli.render_why import render_why

    if settings.as_json:
        terminal.print_document({"ok": True, "why": to_builtins(why)})
    else:
        terminal.print_text(render_why(why, terminal.paint))


def _show_calls(calls: Sequence[CallRecord], settings: Settings, terminal: Terminal) -> None:
    from msgspec import to_builtins

    from trunkline.cli.render_why import render_calls

    if settings.as_json:
        listed: list[Any] = [to_builtins(call) for call in calls]
        terminal.print_document({"ok": True, "calls": listed})
    elif calls:
        terminal.print_text(render_calls(calls, terminal.paint))
    else:
        terminal.note("trunkline: no call was made yet")
