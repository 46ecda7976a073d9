"""One call as a stream: what it reports while it runs, then its reply."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any, get_args

from msgspec.structs import replace

from trunkline.core.call import Log, LogLevel, Progress
from trunkline.core.reply import Reply
from trunkline.runtime.feed import Feed
from trunkline.runtime.handle import Handle

Event = Progress | Log | Reply
"""What a stream gives: any number of Progress and Log, then exactly one Reply."""

_LEVELS: tuple[str, ...] = get_args(LogLevel)


async def stream_events(
    launch: Callable[[Feed[Any]], Handle], log_level: LogLevel
) -> AsyncGenerator[Event, None]:
    """Start a call and give what it reports; ending the generator early cancels the call.

    Args:
        launch: starts a call whose progress goes to this feed; asked when the first event is wanted.
        log_level: leave out what is milder; some servers send everything.
    """
    events: Feed[Progress | Log] = Feed()
    handle = launch(events)
    mildest = _LEVELS.index(log_level)

    def put_log(log: Log) -> None:
        if _LEVELS.index(log.level) >= mildest:
            events.put(log)

    handle.flight.on_log = put_log
    try:
        async for event in events:
            yield event
        yield _counting_drops(await handle, events.dropped)
    finally:
        handle.cancel("the caller stopped reading")


def _counting_drops(reply: Reply, dropped: int) -> Reply:
    if not dropped:
        return reply
    warning = f"{dropped} of its reports were dropped, because they were read too slowly"
    return replace(reply, warnings=(*reply.warnings, warning))
