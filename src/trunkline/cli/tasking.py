"""`trunkline task`: look at a task that a detached call has left behind, wait for its end, or end it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK, UsageError
from trunkline.cli.options import Settings, with_settings
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.cli.delivery import Delivery
    from trunkline.config.loading import Config
    from trunkline.core.task import Task
    from trunkline.runtime.task_handle import TaskHandle

ACTIONS = ("get", "wait", "cancel")


@with_settings
def task_command(
    settings: Settings,
    action: Annotated[str, typer.Argument(metavar="get|wait|cancel", help="What to do with the task.")],
    handle: Annotated[str, typer.Argument(metavar="HANDLE", help="As `trunkline call --detach` printed it.")],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="PATH", help="Save the reply to a file or into a folder."),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the result object as the server sent it.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Print a long text whole on a terminal too.")] = False,
) -> int:
    """Look at a task, wait for its end and print the reply, or ask its server to end it.

    Ctrl-C and --timeout end the waiting; the task goes on.
    """

    def work(terminal: Terminal) -> int:
        from trunkline.cli.delivery import Delivery

        if raw and (settings.as_json or output):
            raise UsageError(f"--raw and {'--json' if settings.as_json else '-o'} exclude each other")
        delivery = Delivery(terminal, as_json=settings.as_json, raw=raw, full=full, output=output)
        return _task(action, handle, settings, delivery)

    return session.guarded(settings, work)


def deliver_handle(handle: TaskHandle, terminal: Terminal) -> None:
    """Print the handle of a task that was made, alone on its line, for a script to keep."""
    if terminal.settings.as_json:
        terminal.print_document(task_document(handle.task))
    else:
        terminal.print_text(str(handle))
        terminal.note("trunkline: the server works on it; `trunkline task wait HANDLE` waits for the reply")


def task_document(task: Task) -> dict[str, Any]:
    """Give the envelope of a task."""
    import msgspec

    members = msgspec.structs.asdict(task)
    server, tool = members.pop("server"), members.pop("tool")
    name = f"{server}.{tool}" if tool else server
    return {"ok": True, "server": server, "tool": name, "task": {"handle": task.handle, **members}}


def _task(action: str, handle: str, settings: Settings, delivery: Delivery) -> int:
    from trunkline.cli.loop import run_loop
    from trunkline.core.task import parse_handle

    if action not in ACTIONS:
        raise UsageError(f"{action!r} is none of {', '.join(ACTIONS)}")
    try:
        task = parse_handle(handle)
    except ValueError as error:
        raise UsageError(f"{handle[:80]!r}: {error}") from error
    config = session.load_config(settings, delivery.terminal)
    if task.server not in session.server_names(config):
        raise UsageError(f"the handle is of a task of the server {task.server!r}, which is not configured")
    return run_loop(_perform(action, task, session.only(config, task.server), settings, delivery))


async def _perform(action: str, task: Task, config: Config, settings: Settings, delivery: Delivery) -> int:
    from trunkline.cli.questions import Questions

    terminal = delivery.terminal
    questions = Questions(terminal)
    async with session.open_trunk(config, questions.handlers() if action == "wait" else None) as trunk:
        handle = await trunk.task(task, timeout=settings.timeout)
        if action == "wait":
            return delivery.deliver(await handle.wait(settings.timeout))
        if action == "cancel":
            await handle.cancel(settings.timeout)
        _show(handle.task, terminal, told=action == "cancel")
    return OK


def _show(task: Task, terminal: Terminal, *, told: bool) -> None:
    from trunkline.cli.render import line

    if told:
        terminal.note("trunkline: the server was asked to cancel it, and may still end it in another way")
    if terminal.settings.as_json:
        terminal.print_document(task_document(task))
    elif not told:
        terminal.print_text(task.status + (f": {line(task.message)}" if task.message else ""))
