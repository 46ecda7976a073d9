"""What one server lists, kind by kind: read when it connects, kept current while it is connected.

The tools decide whether a server is ready; any other list that fails or hangs costs itself only. What
was listed last stays when the server is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable

from trunkline.connection.connection import Connection
from trunkline.core.events import NOBODY, EventSink
from trunkline.protocol.lists import KINDS, Kind
from trunkline.supervision.remembered import Items
from trunkline.supervision.server_list import MOST_LOSSES, Listed, ServerList
from trunkline.supervision.settings import ServerSettings

logger = logging.getLogger("trunkline.supervision")


class Lists:
    """The four lists of one server, and the tasks that keep them current while it is connected.

    Args:
        on_change: told when a list was read, could not be read, or has become too old.
        events: told how a list has changed.
    """

    def __init__(
        self, settings: ServerSettings, on_change: Callable[[], None], events: EventSink = NOBODY
    ) -> None:
        self._lists = {kind: ServerList(settings, kind, on_change, events) for kind in KINDS}
        self._tasks: dict[Kind, asyncio.Task[None]] = {}

    @property
    def tools(self) -> Listed | None:
        """The tools as listed last, or None before the first list."""
        return self._lists["tools"].listed

    def get(self, kind: Kind) -> Listed | None:
        """Give a list as it was read last, or None before the first."""
        return self._lists[kind].listed

    def stale(self, kind: Kind) -> Items | None:
        """Give a list as it was in an earlier run, until it has been read in this one."""
        return self._lists[kind].stale

    def count(self, kind: Kind) -> int | None:
        """Say how many items a list had, or None before the first."""
        listed = self._lists[kind].listed
        return None if listed is None else len(listed.items)

    @property
    def last_read(self) -> float | None:
        """Moment at which any of them was read last, or None before the first."""
        return max((one.last_read for one in self._lists.values() if one.last_read is not None), default=None)

    def failures(self, kinds: Collection[Kind] = KINDS) -> tuple[str, ...]:
        """Say, for each list that could not be read the last time, why."""
        return tuple(
            one.failure for kind, one in self._lists.items() if kind in kinds and one.failure is not None
        )

    def offers(self, kind: Kind) -> bool:
        """Whether the server said, when it was connected last, that it has this kind of list."""
        return self._lists[kind].offered

    @property
    def suspects(self) -> tuple[Kind, ...]:
        """The lists that the server was asked for when it was lost, and may be asked for once more."""
        return tuple(
            kind for kind, one in self._lists.items() if kind != "tools" and 0 < one.losses < MOST_LOSSES
        )

    def begin(self, connection: Connection) -> None:
        """Read everything but the tools from a new connection, in the background.

        What the server was asked for when it was lost the last time is left for `follow`.
        """
        suspects = self.suspects
        for kind, one in self._lists.items():
            one.attach(connection)
            if kind != "tools" and kind not in suspects:
                self._start(kind)

    async def read_tools(self, connection: Connection, deadline: float) -> None:
        """Read the tools for the first time on a connection; without them a server is not ready.

        Raises:
            CallError: they could not be listed.
        """
        await self._lists["tools"].take(await connection.read_list("tools", deadline))

    def follow(self) -> None:
        """From now on, read the tools too when they change; and what may end the server, one by one."""
        turns = asyncio.Lock()
        for kind in ("tools", *self.suspects):
            self._start(kind, turns)

    async def end(self) -> None:
        """End every reading; the connection is no longer used."""
        tasks = set(self._tasks.values())
        self._tasks.clear()
        for one in self._lists.values():
            one.detach()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and (fault := task.exception()) is not None:
                logger.error("an internal error while listing", exc_info=fault)

    async def refresh(self, kind: Kind) -> bool:
        """Read one list again, if connected; False when that failed, which keeps the list there is."""
        return await self._lists[kind].refresh()

    def renew(self) -> None:
        """Have what is too old read again in the background."""
        for one in self._lists.values():
            one.renew()

    def pending(self) -> tuple[Kind, ...]:
        """Say which lists have not yet been read on this connection."""
        return tuple(kind for kind, one in self._lists.items() if not one.settled.is_set())

    async def settled(self, kinds: Iterable[Kind] = KINDS) -> None:
        """Wait until these lists were read or could not be; bounded by the time each may take."""
        for kind in kinds:
            await self._lists[kind].settled.wait()

    def _start(self, kind: Kind, turns: asyncio.Lock | None = None) -> None:
        if kind not in self._tasks:
            self._tasks[kind] = asyncio.create_task(self._lists[kind].keep(turns), name=f"list of {kind}")
