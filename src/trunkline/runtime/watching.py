"""The watching half of the front door: events, subscriptions to resources, and log levels."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, TypeVar, get_args, overload

from trunkline.core.call import Flight, LogLevel
from trunkline.core.events import Event
from trunkline.errors import CallError, DeadlineExceededError, Delivery, InvalidArgumentsError
from trunkline.runtime.events import MOST_WAITING, Bus, Watch
from trunkline.runtime.routes import Routes
from trunkline.runtime.tool_lists import no_server
from trunkline.security.uris import without_secrets
from trunkline.supervision.fleet import Fleet, Server
from trunkline.supervision.subscription import Subscription
from trunkline.telemetry.escape import escape_text

logger = logging.getLogger("trunkline.call")

Kind = TypeVar("Kind", bound=Event)

_LEVELS: tuple[str, ...] = get_args(LogLevel)


class Watching:
    """What `Trunk` does to learn what happens on servers; it sets the attributes below."""

    _loop: asyncio.AbstractEventLoop
    _fleet: Fleet
    _routes: Routes
    _bus: Bus

    @overload
    def events(self, *, max_waiting: int = MOST_WAITING) -> Watch[Event]: ...

    @overload
    def events(self, *kinds: type[Kind], max_waiting: int = MOST_WAITING) -> Watch[Kind]: ...

    def events(self, *kinds: type[Any], max_waiting: int = MOST_WAITING) -> Watch[Any]:
        """Watch what happens on all servers with `async for`, from this moment until the trunk is closed.

        Events are values: `ListChanged`, `ResourceUpdated`, `LogMessage`; later versions add more, so leave
        out what you do not know. Resources are told of while something is subscribed to them, and log
        messages where servers send them, see `set_log_level`. There may be any number of watchers; one that
        is slower than the servers loses the oldest events, which `dropped` of what this gives counts.

        Args:
            kinds: watch events of these classes only; without any, all of them.
            max_waiting: events that may wait for this watcher before the oldest is dropped.
        """
        return self._bus.watch(kinds, max_waiting)

    async def subscribe(
        self,
        uri: str,
        server: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - one bound for finding, connecting and agreeing
    ) -> Subscription:
        """Subscribe to a resource: `async with await trunk.subscribe(uri) as updates`, then `async for`.

        Returns once the server has agreed. The subscription lives over restarts of the server, and while it
        lives a server that is lost is started again. Several subscriptions to one resource are one at the
        server, which is told when the last of them is closed.

        Args:
            uri: need not be listed.
            server: as in `read`.
            timeout: seconds to wait for the server's agreement; without it the server's connect timeout.

        Raises:
            NotFoundError: there is no such server or resource, or with the code `not_offered` the server
                tells of no updates, or not of this resource's.
            AmbiguousNameError: several servers have a resource of this URI; `candidates` holds them.
            RejectedError: the server refused.
            CallError: the server cannot be reached, or did not agree in time.
        """
        allowed = self._connect_timeout(server) if timeout is None else timeout
        delivery: Delivery = "never_sent"
        try:
            async with asyncio.timeout(allowed):
                found = server if server is not None else await self._routes.finding.server_of(uri, allowed)
                supervisor = self._following(found)
                await supervisor.connect(Flight(self._loop.time()))
                delivery = "unknown"
                return await supervisor.following.subscriptions.subscribe(uri)
        except TimeoutError:
            raise DeadlineExceededError(
                f"no agreement to tell of updates of {without_secrets(uri)} within {allowed:g} s",
                server=server,
                delivery=delivery,
                retryable=True,
                hint="Allow more time, or look at `trunk.status()` to see what the server waits for.",
            ) from None

    async def set_log_level(self, level: LogLevel, server: str | None = None) -> None:
        """Ask for log messages of this level and above; they come as `LogMessage` events.

        They are also logged by the logger `trunkline.server`, at the level the server gives them. This holds
        for later connections too. Legacy servers are told at once. Modern ones send the messages of calls
        only, and every call asks for them that does not ask for a level of its own.

        Args:
            server: this one only; without it every server there is that has log messages.

        Raises:
            InvalidArgumentsError: there is no such level.
            NotFoundError: there is no such server, or with the code `not_offered` it sends no log messages.
            CallError: the named server did not take the level; of others that is logged.
        """
        if level not in _LEVELS:
            raise InvalidArgumentsError(
                f"there is no log level {level!r}", hint=f"Use one of {', '.join(_LEVELS)}."
            )
        if server is not None:
            supervisor = self._following(server)
            await supervisor.following.set_log_level(level, supervisor.live)
            return
        async with asyncio.TaskGroup() as group:
            for name, supervisor in tuple(self._fleet):
                group.create_task(_set_level(name, supervisor, level))

    def _connect_timeout(self, server: str | None) -> float:
        if server is not None:
            return self._following(server).settings.connect_timeout
        return max((one.settings.connect_timeout for _, one in self._fleet), default=1.0)

    def _following(self, server: str) -> Server:
        supervisor = self._fleet.get(server)
        if supervisor is None:
            raise no_server(server, self._fleet)
        return supervisor


async def _set_level(server: str, supervisor: Server, level: LogLevel) -> None:
    try:
        await supervisor.following.set_log_level(level, supervisor.live)
    except CallError as error:
        line = escape_text(f"{server}: the log level was not set: {error.message}")
        logger.info("%s", line, extra={"server": server})
