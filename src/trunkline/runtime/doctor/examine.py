"""Examines all servers of a configuration: at the same time, each within its own time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from trunkline.config.endpoints import endpoints_of
from trunkline.config.entry import Entry
from trunkline.config.loading import Config
from trunkline.runtime.doctor.background import Background
from trunkline.runtime.doctor.checkup import Checkup
from trunkline.runtime.doctor.examination import Examination
from trunkline.runtime.egress import Contexts
from trunkline.telemetry.wire import WireRecord

AT_ONCE = 16
"""Servers that are examined at the same time; the others wait, and their time with them."""


async def examine(
    config: Config,
    *,
    backgrounds: Mapping[str, Background] | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - handed to each examination, which ends itself
    today: float | None = None,
    contexts: Contexts = None,
    wire: Callable[[WireRecord], None] | None = None,
    on_done: Callable[[Checkup], None] | None = None,
) -> tuple[Checkup, ...]:
    """Examine each endpoint of every server that is not switched off; never raises for what is wrong.

    Args:
        backgrounds: what `read_backgrounds` found in the files, by server.
        timeout: seconds for each endpoint; None takes its server's connect timeout.
        today: seconds since 1970, to tell certificates that expire soon.
        contexts: the application's own TLS contexts.
        wire: takes what passes on the links, or None.
        on_done: told of each result, in the order of the configuration, as soon as those before it are told.
    """
    turns = asyncio.Semaphore(AT_ONCE)
    known = backgrounds or {}

    async def examine_one(entry: Entry, number: int) -> Checkup:
        async with turns:
            background = known.get(entry.name, Background())
            if number:
                background = replace(background, problems=())  # told of the server's own entry
            examination = Examination(
                entry,
                config.policy,
                background,
                timeout=timeout,
                today=today,
                contexts=contexts,
                wire=wire,
            )
            return replace(await examination.run(), replica=number)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(examine_one(entry, number)) for entry, number in endpoints(config)]
        for task in tasks:
            checkup = await task
            if on_done is not None:
                on_done(checkup)
    return tuple(task.result() for task in tasks)


def endpoints(config: Config) -> list[tuple[Entry, int]]:
    """Give what there is to examine: each endpoint of each server, and which of the server's it is."""
    return [
        (one, number)
        for entry in config.entries
        for number, one in enumerate(endpoints_of(entry, config.policy))
    ]
