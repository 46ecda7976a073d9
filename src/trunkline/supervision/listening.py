"""Keeps one stream of notifications open at a modern server, with everything on it that is wanted.

Source: specification 2026-07-28, basic/patterns/subscriptions. There is no replay: what happened while no
stream was open is found out by reading again, also between the first reading and the first stream.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from trunkline.connection.connection import Connection
from trunkline.connection.streams import Stream
from trunkline.core.backoff import Backoff
from trunkline.errors import CallError, ServerError
from trunkline.protocol.eras import METHOD_NOT_FOUND
from trunkline.protocol.lists import CHANGES
from trunkline.protocol.subscriptions import Filter, declared_lists
from trunkline.supervision.failure import refused_subscription, unsupported_subscription
from trunkline.supervision.subscriptions import Subscriptions
from trunkline.telemetry.escape import escape_text

logger = logging.getLogger("trunkline.supervision")

_BACKOFF = Backoff(first=1.0, longest=30.0)
_STEADY = 60.0
"""Seconds after which a stream that ends does not count as one more failure in a row."""


class Listening:
    """Follows what is wanted on one connection, until cancelled.

    Args:
        timeout: seconds the server may take to acknowledge.
        draw: gives a random number from 0 to 1.
    """

    def __init__(
        self,
        connection: Connection,
        wanted: Subscriptions,
        *,
        timeout: float,
        draw: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._wanted = wanted
        self._timeout = timeout
        self._draw = draw
        self._loop = asyncio.get_running_loop()
        self._lists = declared_lists(connection.agreed.capabilities)
        self._stream: Stream | None = None
        self._task: asyncio.Task[None] | None = None
        self._since = 0.0
        self._failures = 0
        self._deaf = True
        """Whether something may have happened since the lists were read, or since the last stream."""
        self._one_by_one = False
        self._unsupported = False

    async def run(self) -> None:
        """Listen for what is wanted, again whenever that changes or the stream is lost."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wanted.wake.clear()
                if self._wanted.take_missed():
                    self._read_again()
                    self._wanted.tell_missed()
                if self._stream is not None and self._stream.ended:
                    await self._lose(self._stream)
                elif self._unsupported:
                    self._refuse_all()
                    await self._wanted.wake.wait()
                elif (asked := self._choose()) != self._carried():
                    await self._switch(asked, group)
                else:
                    await self._wanted.wake.wait()

    def _carried(self) -> Filter:
        """Give what the stream carries; a list that it was refused is not asked for again."""
        stream = self._stream
        if stream is None or stream.granted is None:
            return Filter()
        return Filter(lists=stream.asked.lists, uris=stream.granted.uris)

    def _choose(self) -> Filter:
        wanted = self._wanted.uris
        if self._one_by_one:
            settled = frozenset(uri for uri in wanted if self._wanted.agreed(uri))
            fresh = sorted(wanted - settled)[:1]
            self._one_by_one = bool(fresh)
            wanted = settled.union(fresh)
        return Filter(lists=self._lists, uris=wanted)

    async def _switch(self, asked: Filter, group: asyncio.TaskGroup) -> None:
        """Open a stream for what is wanted now, and only then close the one before it."""
        if not asked:
            self._close()
            return
        stream = Stream(asked, self._wanted.wake.set)
        task = group.create_task(
            self._connection.listen(stream), name=f"listening to {self._connection.server}"
        )
        try:
            async with asyncio.timeout(self._timeout):
                await stream.settled.wait()
        except TimeoutError:
            stream.failure = unsupported_subscription(
                self._connection.server, f"it did not acknowledge within {self._timeout:g} s"
            )
        if stream.granted is None:
            task.cancel()
            await self._fail(asked, stream.failure)
            return
        if self._stream is not None and self._stream.ended:
            # Nobody listened from its end until now.
            self._deaf = True
            self._wanted.lapse()
        self._close()
        self._stream, self._task, self._since = stream, task, self._loop.time()
        self._take_grant(stream, stream.granted)

    def _close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._stream = self._task = None

    def _take_grant(self, stream: Stream, granted: Filter) -> None:
        server = self._connection.server
        if refused := sorted(stream.asked.lists - granted.lists):
            self._log(
                logging.WARNING, f"it does not tell of changes of its {', '.join(refused)}, though it said so"
            )
        for uri in stream.asked.uris:
            if uri in granted.uris:
                self._wanted.agree(uri)
            else:
                self._wanted.refuse(
                    uri, lambda: unsupported_subscription(server, "it does not watch this resource")
                )
        if self._deaf:
            self._deaf = False
            self._read_again()

    async def _lose(self, stream: Stream) -> None:
        """The stream has ended by itself: wait a while, so that it can be opened again."""
        steady = self._loop.time() - self._since > _STEADY
        self._stream = self._task = None
        self._deaf = True
        self._wanted.lapse()
        self._failures = 0 if steady else self._failures
        await self._pause(stream.failure)

    async def _fail(self, asked: Filter, failure: CallError | None) -> None:
        if isinstance(failure, ServerError):
            if failure.rpc_code == METHOD_NOT_FOUND:
                self._unsupported = True
                self._log(logging.DEBUG, "it offers no stream of notifications")
                return
            if blamed := [uri for uri in asked.uris if self._wanted.is_blamed(uri, failure)]:
                self._blame(blamed, failure)
                return
        await self._pause(failure)

    def _blame(self, uris: list[str], failure: ServerError) -> None:
        """One resource that cannot be watched must not cost the others: find out which it is."""
        if len(uris) > 1:
            self._one_by_one = True
        else:
            self._wanted.refuse(uris[0], lambda: refused_subscription(self._connection.server, failure))

    async def _pause(self, failure: CallError | None) -> None:
        self._failures += 1
        delay = _BACKOFF.delay(self._failures, self._draw())
        why = "it ended the stream" if failure is None else failure.message
        self._log(logging.INFO, f"no stream of notifications ({why}); the next attempt is in {delay:.1f} s")
        await asyncio.sleep(delay)

    def _refuse_all(self) -> None:
        server = self._connection.server
        for uri in self._wanted.uris:
            self._wanted.refuse(
                uri, lambda: unsupported_subscription(server, "it offers no stream of notifications")
            )

    def _read_again(self) -> None:
        """Have the lists read whose changes could not be heard."""
        for kinds in CHANGES.values():
            if not self._lists.isdisjoint(kinds):
                for kind in kinds:
                    self._connection.changes[kind].set()

    def _log(self, level: int, what: str) -> None:
        line = escape_text(f"{self._connection.server}: {what}")
        logger.log(level, "%s", line, extra={"server": self._connection.server})
