"""A client of the control server: what commands use of a `Trunk`, answered by another process."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import msgspec

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.search import Match
from trunkline.core.call import Progress
from trunkline.core.handlers import Handlers
from trunkline.core.prompt import PromptReply
from trunkline.core.reply import Reply
from trunkline.core.resource import ReadReply
from trunkline.core.status import ServerStatus
from trunkline.errors import (
    DeadlineExceededError,
    OutcomeUnknownError,
    TrunklineError,
    UnavailableError,
)
from trunkline.runtime.control_asking import Answering
from trunkline.runtime.control_errors import decode_error
from trunkline.runtime.control_link import ControlLink
from trunkline.runtime.control_messages import (
    MAX_LINE_BYTES,
    About,
    Answer,
    Call,
    Failure,
    GetPrompt,
    List,
    Listed,
    Question,
    Read,
    Ready,
    Report,
    Request,
    Response,
    Search,
    Status,
    Withdrawn,
)
from trunkline.runtime.progress import ProgressHandler

if TYPE_CHECKING:
    from trunkline.core.task import Task
    from trunkline.runtime.control_tasks import RemoteDesk
    from trunkline.runtime.task_handle import TaskHandle

_GRACE = 5.0
"""Seconds beyond a call's own timeout, which the server keeps, after which a silent server is given up."""
_PARTING = 2.0
"""Seconds the server may take to cancel what was asked of it."""

_decode = msgspec.json.Decoder(Response).decode
_decode_listed = msgspec.json.Decoder(Listed).decode
_decode_reply = msgspec.json.Decoder(Reply).decode
_decode_read = msgspec.json.Decoder(ReadReply).decode
_decode_prompt = msgspec.json.Decoder(PromptReply).decode
_decode_matches = msgspec.json.Decoder(tuple[Match, ...]).decode
_encode = msgspec.json.Encoder().encode


class AttachedTrunk:
    """The servers of a background process, as the `Trunk` that a command would have opened itself.

    Args:
        servers: the servers there are for this command, in configuration order.
        handlers: put the questions of servers to a person; of these, `elicit` alone is used.
    """

    def __init__(self, link: ControlLink, servers: Sequence[str], handlers: Handlers | None = None) -> None:
        self._link = link
        self._handlers = handlers or Handlers()
        self._servers = tuple(servers)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Queue[Any]] = {}
        self._statuses: dict[str, ServerStatus] = {}
        self._listed: msgspec.Raw | None = None
        self._catalog: Catalog | None = None
        self._lost = False

    async def __aenter__(self) -> Self:
        self._link.link.setblocking(False)
        self._reader, self._writer = await asyncio.open_unix_connection(
            sock=self._link.link, limit=MAX_LINE_BYTES
        )
        self._reading = asyncio.create_task(self._read(), name="trunkline control")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Part from the server; what is still asked of it has been cancelled when this returns."""
        if self._writer.can_write_eof():
            with contextlib.suppress(OSError):
                self._writer.write_eof()
        try:
            await asyncio.wait({self._reading}, timeout=_PARTING)
        finally:
            self._reading.cancel()
            # What is unsent by now is read by nobody, who could be waited for without end.
            self._writer.transport.abort()
            await asyncio.wait({self._reading})

    @property
    def catalog(self) -> Catalog:
        """What exists, as of the last `ready`."""
        if self._catalog is None:
            if self._listed is None:
                return Catalog((), self._servers, ())
            listed = _decode_listed(self._listed)
            self._catalog = Catalog(
                listed.tools,
                listed.servers,
                listed.warnings,
                resources=listed.resources,
                templates=listed.templates,
                prompts=listed.prompts,
            )
        return self._catalog

    def status(self) -> dict[str, ServerStatus]:
        """Say how each server was doing when the server last answered."""
        return {name: self._statuses[name] for name in self._servers if name in self._statuses}

    async def refresh_status(self) -> None:
        """Ask how the servers are doing now.

        Raises:
            UnavailableError: the background process was lost.
        """
        await self._ask(Status(id=next(self._numbers), servers=self._servers), None)

    async def ready(
        self,
        server: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
        *,
        lists: bool | None = None,
        lazy: bool = False,
    ) -> None:
        """See `Trunk.ready`."""
        number = next(self._numbers)
        self._catalog = None
        try:
            request = Ready(
                id=number, servers=self._servers, server=server, timeout=timeout, lists=lists, lazy=lazy
            )
            self._listed = await self._ask(request, timeout)
        except TrunklineError:
            if not self._lost:
                self._listed = await self._ask(List(id=-number, servers=self._servers), None)
            raise

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the server keeps it
        on_progress: ProgressHandler | None = None,
        cache: bool = True,
        max_age: float | None = None,
    ) -> Reply:
        """See `Trunk.call`; the call is cancelled at its server when this is cancelled."""
        request = Call(
            id=next(self._numbers),
            servers=self._servers,
            tool=tool,
            arguments=arguments or {},
            timeout=timeout,
            max_age=max_age if cache else 0.0,
            progress=on_progress is not None,
        )
        return _decode_reply(await self._ask(request, timeout, on_progress))

    async def read(
        self,
        uri: str,
        server: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
        *,
        on_progress: ProgressHandler | None = None,
        cache: bool = True,
        max_age: float | None = None,
    ) -> ReadReply:
        """See `Trunk.read`."""
        request = Read(
            id=next(self._numbers),
            servers=self._servers,
            uri=uri,
            server=server,
            timeout=timeout,
            max_age=max_age if cache else 0.0,
            progress=on_progress is not None,
        )
        return _decode_read(await self._ask(request, timeout, on_progress))

    async def get_prompt(
        self,
        name: str,
        arguments: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
        cache: bool = True,
        max_age: float | None = None,
    ) -> PromptReply:
        """See `Trunk.get_prompt`."""
        request = GetPrompt(
            id=next(self._numbers),
            servers=self._servers,
            name=name,
            arguments=dict(arguments or {}),
            timeout=timeout,
            max_age=max_age if cache else 0.0,
        )
        return _decode_prompt(await self._ask(request, timeout))

    async def start_task(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> TaskHandle:
        """See `Trunk.start_task`."""
        return await self._desk().start(tool, arguments, timeout)

    async def task(
        self,
        handle: str | Task,
        *,
        server: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> TaskHandle:
        """See `Trunk.task`."""
        return await self._desk().find(handle, server, timeout)

    def _desk(self) -> RemoteDesk:
        from trunkline.runtime.control_tasks import RemoteDesk

        async def ask(timeout: float | None, **members: Any) -> msgspec.Raw:  # noqa: ASYNC109
            number = next(self._numbers)
            request = About(id=number, servers=self._servers, timeout=timeout, **members)
            return await self._ask(request, timeout)

        return RemoteDesk(ask)

    async def search(
        self, query: str | Sequence[str], *, limit: int = 5, min_score: float | None = None
    ) -> tuple[Match, ...]:
        """See `Trunk.search`."""
        needs = query if isinstance(query, str) else tuple(query)
        number = next(self._numbers)
        request = Search(id=number, servers=self._servers, query=needs, limit=limit, min_score=min_score)
        return _decode_matches(await self._ask(request, None))

    async def _ask(
        self,
        request: Request,
        timeout: float | None,  # noqa: ASYNC109
        on_progress: ProgressHandler | None = None,
    ) -> msgspec.Raw:
        responses: asyncio.Queue[Any] = asyncio.Queue()
        self._waiting[request.id] = responses
        try:
            async with asyncio.timeout(None if timeout is None else timeout + _GRACE):
                return await self._exchange(request, responses, on_progress)
        except TimeoutError:
            raise DeadlineExceededError(
                "the background process does not answer", delivery="unknown", tool=_tool(request)
            ) from None
        finally:
            del self._waiting[request.id]

    async def _exchange(
        self, request: Request, responses: asyncio.Queue[Any], on_progress: ProgressHandler | None
    ) -> msgspec.Raw:
        answering = Answering(self._handlers, self._send)
        try:
            return await self._follow(request, responses, on_progress, answering)
        finally:
            await answering.end()

    async def _follow(
        self,
        request: Request,
        responses: asyncio.Queue[Any],
        on_progress: ProgressHandler | None,
        answering: Answering,
    ) -> msgspec.Raw:
        if self._lost:
            raise UnavailableError("the background process was lost", hint="Run the command again.")
        self._send(request)
        with contextlib.suppress(OSError):
            await self._writer.drain()
        while True:
            match await responses.get():
                case Answer() as answer:
                    self._statuses |= answer.statuses
                    return answer.value
                case Failure() as failure:
                    self._statuses |= failure.statuses
                    raise decode_error(failure.error)
                case Report() as report if on_progress is not None:
                    shown = Progress(progress=report.progress, total=report.total, message=report.message)
                    if inspect.isawaitable(running := on_progress(shown)):
                        await running
                case Question() as question:
                    answering.ask(question, next(self._numbers))
                case Withdrawn() as withdrawn:
                    answering.withdraw(withdrawn.key)
                case None:
                    raise _lost(request)

    def _send(self, message: Request) -> None:
        self._writer.write(_encode(message) + b"\n")

    async def _read(self) -> None:
        """Hand every response to whoever waits for it, until the connection ends."""
        try:
            while line := await self._reader.readline():
                message = _decode(line)
                if (waiting := self._waiting.get(message.id)) is not None:
                    waiting.put_nowait(message)
        except (OSError, ValueError, msgspec.MsgspecError):
            return
        finally:
            self._lost = True
            for waiting in self._waiting.values():
                waiting.put_nowait(None)


def _tool(request: Request) -> str | None:
    match request:
        case Call(tool=name) | Read(uri=name) | GetPrompt(name=name):
            return name
    return None


def _lost(request: Request) -> TrunklineError:
    hint = "Look at `trunkline up --log`, then run the command again."
    if isinstance(request, Call) or (isinstance(request, About) and request.action == "start"):
        return OutcomeUnknownError("the background process was lost", tool=request.tool, hint=hint)
    return UnavailableError("the background process was lost", hint=hint)
