"""The course of one call: what must be known first, whether it may be made, and its reply handed over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from trunkline.cli import session
from trunkline.cli.arguments import Given, needs_schema, resolve_arguments
from trunkline.cli.calling import CallOptions
from trunkline.cli.consent import can_ask, require_consent
from trunkline.cli.delivery import Delivery
from trunkline.cli.exits import OK
from trunkline.cli.hints import is_destructive, require_read_only
from trunkline.cli.listing import saying_who_is_sick
from trunkline.cli.lookup import require_tool
from trunkline.cli.options import Settings
from trunkline.cli.progress import ProgressLine
from trunkline.cli.questions import Questions
from trunkline.cli.selectors import Selector
from trunkline.cli.streaming import EventLines
from trunkline.cli.terminal import Terminal
from trunkline.core.call import Progress
from trunkline.core.tool import Tool
from trunkline.errors import DeadlineExceededError, TrunklineError

if TYPE_CHECKING:
    from trunkline.config.loading import Config
    from trunkline.runtime.task_handle import TaskHandle
    from trunkline.runtime.trunk import Trunk


async def perform(
    selector: Selector,
    given: Given,
    config: Config,
    options: CallOptions,
    settings: Settings,
    delivery: Delivery,
) -> int:
    """Call the selected tool and hand its reply over.

    Raises:
        DeniedError: `--read-only` or the person at the terminal does not allow it.
        CallError: the call failed.
    """
    terminal, ask = delivery.terminal, can_ask() and not options.yes
    questions = Questions(terminal)
    async with session.open_trunk(config, questions.handlers()) as trunk:
        with saying_who_is_sick(trunk, selector, terminal):
            left = await _await_definition(trunk, selector, settings, wanted=ask or needs_schema(given))
            tool = _find_tool(trunk, selector)
            arguments = resolve_arguments(given, None if tool is None else tool.input_schema)
            if ask and tool is not None and is_destructive(tool):
                await require_consent(tool, arguments, terminal.paint_error)
            if options.detach:
                handle = await trunk.start_task(selector.name, arguments, timeout=left)
                return await _hand_over(handle, delivery)
            with _shown(terminal, options, settings, questions) as show:
                reply = await trunk.call(
                    selector.name, arguments, timeout=left, on_progress=show, cache=not options.no_cache
                )
        session.remember_names(trunk, config)
        return delivery.deliver(reply)


async def _hand_over(handle: TaskHandle, delivery: Delivery) -> int:
    """Print the handle of a task; where the server has answered at once, its reply."""
    from trunkline.cli.tasking import deliver_handle

    if not str(handle):
        return delivery.deliver(await handle.wait())
    deliver_handle(handle, delivery.terminal)
    return OK


async def _await_definition(
    trunk: Trunk, selector: Selector, settings: Settings, *, wanted: bool
) -> float | None:
    """Wait for the tool's definition where it is wanted, and give the seconds that are left for the call.

    That its server has failed is for the call to say, which knows more.
    """
    clock = asyncio.get_running_loop().time
    started = clock()
    if settings.read_only:
        require_read_only(await require_tool(trunk, selector, settings))
    elif not wanted:
        return settings.timeout
    else:
        try:
            await trunk.ready(selector.server, timeout=settings.timeout, lazy=selector.server is None)
        except DeadlineExceededError:
            raise
        except TrunklineError:
            pass
    return None if settings.timeout is None else max(settings.timeout - (clock() - started), 0.0)


def _find_tool(trunk: Trunk, selector: Selector) -> Tool | None:
    """Give the selected tool; None leaves it to the call to say what is wrong."""
    tools = [
        tool
        for tool in trunk.catalog.tools
        if tool.name == selector.tool and selector.server in (None, tool.server)
    ]
    return tools[0] if len(tools) == 1 else None


def _shown(
    terminal: Terminal, options: CallOptions, settings: Settings, questions: Questions
) -> AbstractContextManager[Callable[[Progress], Any]]:
    """Give the way in which this call's progress is shown."""
    if options.stream:
        return nullcontext(EventLines(terminal).show)
    progress = ProgressLine(terminal.note, verbose=bool(settings.verbose))
    questions.pause = progress.paused
    return progress
