"""The control server: an open runtime for other processes of the same user, over a Unix socket.

`listening` owns the task of every connection, and each of these the tasks of its requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, assert_never

import msgspec

from trunkline.catalog.catalog import Catalog
from trunkline.core.status import ServerStatus
from trunkline.errors import ConfigError, UnavailableError
from trunkline.runtime.control_connection import ControlConnection
from trunkline.runtime.control_messages import (
    MAX_LINE_BYTES,
    VERSION,
    About,
    Call,
    Calls,
    Explain,
    GetPrompt,
    Hello,
    Inspection,
    List,
    Listed,
    Logs,
    Read,
    Ready,
    Request,
    Restart,
    Search,
    Shutdown,
    Status,
    Told,
    Welcome,
)
from trunkline.runtime.control_view import narrow
from trunkline.runtime.trunk import Trunk

_MOST_VIEWS = 64
logger = logging.getLogger("trunkline.control")

_encode = msgspec.json.Encoder().encode


class ControlServer:
    """Answers clients whose configuration is the runtime's own, and those that only inspect.

    Args:
        digest: of the configuration; without it there are none of the former.
    """

    def __init__(self, trunk: Trunk, *, digest: str = "") -> None:
        self.shutdown = asyncio.Event()
        """Set when a client asks the process to end."""
        self._trunk = trunk
        self._digest = digest
        self._loop = asyncio.get_running_loop()
        self._connections: set[ControlConnection] = set()
        self._last_used = self._loop.time()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._draining = False
        self._views: dict[tuple[str, ...], Trunk] = {}
        self._listed: dict[tuple[str, ...] | None, tuple[Catalog, msgspec.Raw]] = {}

    @asynccontextmanager
    async def listening(self, path: str) -> AsyncIterator[None]:
        """Take connections at `path` while the body runs; leaving it cancels what still runs.

        The socket may be used by this user only. Its folder has to see to it that nobody replaces it.
        """
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(task := self._loop.create_task(self._converse(reader, writer)))
            task.add_done_callback(tasks.discard)

        # It is started below, where a cancellation meanwhile closes it.
        server = await asyncio.start_unix_server(
            accept, sock=_bind(path), limit=MAX_LINE_BYTES, start_serving=False
        )
        ours = os.stat(path)
        try:
            await server.start_serving()
            yield
        finally:
            server.close()
            # It may have been moved, and another be there by now.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), ours):
                    os.unlink(path)
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def renew(self, digest: str) -> None:
        """Take clients of another configuration, which the runtime has by now; those there are stay."""
        self._digest = digest
        self._views.clear()
        self._listed.clear()

    async def drain(self, patience: float) -> None:
        """Take no more requests, and give those that run `patience` seconds to end."""
        self._draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while any(connection.running for connection in self._connections):
                    self._quiet.clear()
                    await self._quiet.wait()

    async def wait_idle(self, span: float) -> None:
        """Return once no client has been connected for `span` seconds."""
        while self._connections or self._idle_time() < span:
            left = None if self._connections else span - self._idle_time()
            self._quiet.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._quiet.wait()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = ControlConnection(self, reader, writer)
        self._connections.add(connection)
        try:
            await connection.serve()
        except Exception:  # boundary: what goes wrong with one client must not end the others
            logger.exception("a connection of the control socket failed")
        finally:
            self._connections.discard(connection)
            self.note_quiet()
            writer.close()

    def note_quiet(self) -> None:
        """A request or a connection has ended."""
        self._last_used = self._loop.time()
        self._quiet.set()

    def _idle_time(self) -> float:
        return self._loop.time() - self._last_used

    def greet(self, hello: Hello) -> Welcome:
        """Accept a client, or raise ConfigError for one whose version or configuration is another."""
        if self._draining:
            raise ConfigError("it is ending")
        if hello.version != VERSION:
            raise ConfigError(
                f"the protocol version is {VERSION}, not {hello.version}",
                hint="It runs another version of Trunkline; start it again, or use the other one's commands.",
            )
        if not hello.inspects and (not self._digest or hello.digest != self._digest):
            raise ConfigError("the configuration is another one")
        return Welcome(id=hello.id, version=VERSION, pid=os.getpid())

    def view(self, servers: tuple[str, ...] | None) -> Trunk:
        """Give the runtime as a request sees it."""
        if servers is None or set(servers) == set(self._trunk.status()):
            return self._trunk
        if (known := self._views.get(servers)) is None:
            if len(self._views) >= _MOST_VIEWS:
                self._views.clear()
                self._listed.clear()
            known = self._views[servers] = narrow(self._trunk, servers)
        return known

    def statuses(self, request: Request) -> dict[str, ServerStatus]:
        """Say how the servers of a request are doing."""
        if isinstance(request, Hello | Shutdown | Told | Inspection):
            return {}
        return self.view(request.servers).status()

    async def perform(self, request: Request, report: Any) -> Any:
        """Do what is asked and give the value of the answer."""
        if self._draining and not isinstance(request, Shutdown):
            raise UnavailableError("the background process is ending", hint="Run the command again.")
        match request:
            case Ready():
                view = self.view(request.servers)
                await view.ready(request.server, request.timeout, lists=request.lists, lazy=request.lazy)
                return self._list(request.servers)
            case Call():
                return await self.view(request.servers).call(
                    request.tool,
                    request.arguments,
                    timeout=request.timeout,
                    on_progress=report if request.progress else None,
                    max_age=request.max_age,
                )
            case Read():
                return await self.view(request.servers).read(
                    request.uri,
                    request.server,
                    request.timeout,
                    on_progress=report if request.progress else None,
                    max_age=request.max_age,
                )
            case GetPrompt():
                view = self.view(request.servers)
                return await view.get_prompt(
                    request.name, request.arguments, timeout=request.timeout, max_age=request.max_age
                )
            case Search(query=query):
                needs = query if isinstance(query, str) else list(query)
                view = self.view(request.servers)
                return await view.search(needs, limit=request.limit, min_score=request.min_score)
            case About():
                from trunkline.runtime.control_tasks import serve

                return await serve(self.view(request.servers), request)
            case Calls() | Logs() | Explain() | Restart():
                from trunkline.runtime.control_inspection import inspect

                return await inspect(self._trunk, request)
            case Shutdown():
                self.shutdown.set()
                return None
            case List():
                return self._list(request.servers)
            case Status():
                return None
            case Hello() | Told():
                raise ConfigError("the connection is open already")
            case _:
                assert_never(request)

    def _list(self, servers: tuple[str, ...] | None) -> msgspec.Raw:
        catalog = self.view(servers).catalog
        known = self._listed.get(servers)
        if known is None or known[0] is not catalog:
            listed = Listed(
                tools=catalog.tools,
                servers=catalog.servers,
                warnings=catalog.warnings,
                resources=catalog.resources,
                templates=catalog.templates,
                prompts=catalog.prompts,
            )
            known = self._listed[servers] = catalog, msgspec.Raw(_encode(listed))
        return known[1]


def _bind(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener
