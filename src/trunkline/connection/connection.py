"""One negotiated link to one server. Its owner's task runs `serve`; callers' tasks call.

A challenge that belongs to the protocol, such as a lost legacy session, is answered here; whether a
failed call may be tried again is never decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import copy_context
from functools import partial
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from trunkline.connection.answers import Answers
from trunkline.connection.batching import Batches
from trunkline.connection.incoming import Incoming
from trunkline.connection.listing import Pages, read_pages
from trunkline.connection.negotiation import ClientIdentity, Negotiated
from trunkline.connection.notices import Notices
from trunkline.connection.probing import negotiate
from trunkline.connection.results import read_result
from trunkline.connection.rounds import finish_rounds, play_rounds
from trunkline.connection.session import Session
from trunkline.connection.streams import Stream, Streams
from trunkline.connection.tally import Source
from trunkline.connection.visits import Visits
from trunkline.core.call import Call, Flight, LogLevel
from trunkline.core.limits import Limits
from trunkline.core.reply import Reply
from trunkline.errors import (
    CallError,
    InvalidArgumentsError,
    NotFoundError,
    ServerError,
    UnavailableError,
)
from trunkline.protocol.eras import (
    METHOD_NOT_FOUND,
    NEEDED_CAPABILITY,
    URL_ELICITATION_REQUIRED,
    Family,
    request_meta,
)
from trunkline.protocol.frames import Encoder, Frame, encode_notification
from trunkline.protocol.lists import CHANGES, KINDS, LISTS, Kind
from trunkline.protocol.rounds import INPUT_REQUIRED, METHODS, wants_input
from trunkline.protocol.subscriptions import LISTEN
from trunkline.protocol.tasks import takes_tasks
from trunkline.transport.link import Link, Request, SessionLostError
from trunkline.transport.share import Share

TOOLS_CALL = "tools/call"
_NOTHING: Mapping[str, Any] = {}


class Connection:
    """One live, negotiated link to one server."""

    def __init__(
        self,
        server: str,
        link: Link,
        agreed: Negotiated,
        identity: ClientIdentity,
        *,
        limits: Limits,
        answers: Answers,
        notices: Notices,
        connect_timeout: float,
    ) -> None:
        self.server = server
        self.link = link
        self.agreed = agreed
        self.changes: dict[Kind, asyncio.Event] = {kind: asyncio.Event() for kind in KINDS}
        """Each is set when the server says that its list of this kind has changed."""
        self.log_level: LogLevel | None = None
        """The mildest log messages to ask for with calls that do not say so themselves, in eras that can."""
        self._identity = identity
        self._limits = limits
        self._answers = answers
        self._incoming = Incoming(server, link, answers)
        self.calls = self._incoming.calls
        """The calls in flight."""
        self._notices = notices
        self._streams = Streams()
        self._session = Session(server, link, self._reopen, connect_timeout)
        self._encoder = self._make_encoder()
        self._batches = Batches(
            link, lambda: self.agreed.era.batches, lambda method, of: self._encode_request(method, None, of)
        )

    @classmethod
    async def open(
        cls,
        server: str,
        link: Link,
        identity: ClientIdentity,
        *,
        family: Family | None = None,
        expected: Family | None = None,
        limits: Limits,
        answers: Answers,
        notices: Notices,
        connect_timeout: float,
    ) -> Connection:
        """Negotiate on a fresh link. The link stays the caller's to close, whatever happens.

        Args:
            family, expected: see `negotiate`.
            connect_timeout: seconds that opening a lost session again may take.

        Raises:
            CallError: the server cannot be reached or shares no revision with us.
        """
        agreed = await negotiate(link, server, identity, family, expected)
        return cls(
            server,
            link,
            agreed,
            identity,
            limits=limits,
            answers=answers,
            notices=notices,
            connect_timeout=connect_timeout,
        )

    @property
    def sessions(self) -> int:
        """How many sessions were opened; a new one knows nothing of what was set up in the one before."""
        return self._session.number

    @property
    def revision(self) -> str:
        """The protocol revision in use, such as `2025-11-25`."""
        return self.agreed.era.revision

    async def call(self, call: Call) -> Reply:
        """Make one call, of a tool or of any other method, once.

        Raises:
            CallError: with a true `delivery`.
        """
        if call.one_way:
            return await self._tell(call)
        flight = call.flight
        if flight.bundle is not None:
            await self._batches.admit(flight)
        flight.phase = "waiting for the answer"
        flight.stderr = self.link.stderr_tail
        calls = self.calls
        calls[flight] = call
        if self._answers.asks_people:
            flight.context = copy_context()
        try:
            if self._session.missing or flight.session is not None:
                await self._session.enter(flight)
            try:
                frame = await self.link.request(self._encode_call(call))
            except SessionLostError as lost:
                frame = await self._session.send_again(partial(self._encode_call, call), lost, flight)
            result = frame.result
            if result.__class__ is not dict or result.get("resultType") == INPUT_REQUIRED:
                frame = await self._continue(call, frame)
        finally:
            del calls[flight]
            if self._answers.tally.counts:
                self._incoming.release(flight)
        result = read_result(
            frame,
            self.server,
            call.public_name,
            any_type=call.any_result,
            may_be_task=call.method == TOOLS_CALL and self.agreed.era.family == "modern",
        )
        flight.delivery = "answered"
        return Reply(
            raw=result,
            server=self.server,
            tool=call.public_name,
            call_id=call.id,
            era=self.agreed.era.revision,
            transport=self.link.kind,
        )

    async def request(self, method: str, params: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Send any request and give its result.

        Raises:
            CallError: with a true `delivery`.
        """
        flight = Flight(asyncio.get_running_loop().time())
        frame = await self._exchange(lambda: self._encode_request(method, params, flight), flight)
        return read_result(frame, self.server, method)

    async def read_list(self, kind: Kind, deadline: float) -> Pages:
        """Read all pages of one of the server's lists; empty when the server says it has none.

        Args:
            deadline: moment at which no further page is waited for.

        Raises:
            CallError: not even the first page could be read.
        """
        wanted = LISTS[kind]
        if not self.offers(wanted.capability):
            return Pages(items=())
        try:
            return await read_pages(
                lambda params: self.request(wanted.method, params), wanted.member, self._limits, deadline
            )
        except ServerError as error:
            # Templates have no capability of their own, and a refused discovery tells of none.
            sure = kind != "templates" and wanted.capability in self.agreed.capabilities
            if sure or kind == "tools" or error.rpc_code != METHOD_NOT_FOUND:
                raise
            return Pages(items=())

    async def listen(self, stream: Stream) -> None:
        """Keep a stream of notifications open until it ends, however it does; modern servers only.

        Cancelling this closes it at the server.
        """
        flight = Flight(asyncio.get_running_loop().time())
        request = replace(self._encode_request(LISTEN, stream.asked.to_params(), flight), standing=True)
        with self._streams.opened(request.id, stream):
            try:
                read_result(await self.link.request(request), self.server, LISTEN)
            except CallError as error:
                stream.failure = error

    async def serve(self) -> None:
        """Handle what the server sends outside exchanges, until the link is lost."""
        inbox, share = self.link.unsolicited, Share()
        try:
            while await inbox.wait():
                while (frame := inbox.take()) is not None:
                    await self._take(frame)
                    await share.spend(0)
                if inbox.take_missed():
                    self._notices.miss()
        finally:
            await self._incoming.end()
            await self._session.end()
            await self._batches.end()

    def offers(self, capability: str) -> bool:
        """Whether the server says that it has this, or could not say what it has."""
        declared, era = self.agreed.capabilities, self.agreed.era
        if capability in declared or (capability == "completions" and not era.declares_completions):
            return True
        return not declared and (capability == "tools" or era.family == "modern")

    async def _exchange(self, encode: Callable[[], Request], flight: Flight) -> Frame:
        """Send a request and give its response; one that met a lost session is sent once more."""
        if self._session.missing or flight.session is not None:
            await self._session.enter(flight)
        try:
            return await self.link.request(encode())
        except SessionLostError as lost:
            return await self._session.send_again(encode, lost, flight)

    async def _reopen(self) -> None:
        self.agreed = await negotiate(self.link, self.server, self._identity, "legacy")
        self._encoder = self._make_encoder()
        self._notices.miss()

    def _encode_call(self, call: Call, more: Mapping[str, Any] = _NOTHING) -> Request:
        number = call.flight.request_id = self.link.next_id()
        log_level = call.log_level or self.log_level
        try:
            if call.method == TOOLS_CALL:
                if call.augment and takes_tasks(self.agreed.era.revision, self.agreed.capabilities):
                    more = {**more, "task": {}}
                body = self._encoder.call_tool(
                    number, call.name, call.arguments, log_level=log_level, trace=call.trace, more=more
                )
            else:
                body = self._encode_other(number, call, more)
        except (TypeError, ValueError, RecursionError) as cause:
            raise InvalidArgumentsError(
                f"the arguments are not JSON ({cause})",
                server=self.server,
                tool=call.public_name,
                hint="Pass strings, numbers, booleans, None, lists and dictionaries only.",
            ) from cause
        return Request(
            id=number,
            method=call.method,
            body=body,
            flight=call.flight,
            name=call.name,
            headers=call.headers,
        )

    def _encode_other(self, number: int, call: Call, more: Mapping[str, Any]) -> bytes:
        capability = NEEDED_CAPABILITY.get(call.method)
        if capability is not None and not self.offers(capability):
            raise NotFoundError(
                f"the server does not offer {capability}",
                code="not_offered",
                server=self.server,
                hint=f"`trunkline info {self.server}` shows what the server offers.",
            )
        params = {**(call.params or {}), **more} if more else call.params
        return self._encoder.request(
            number,
            call.method,
            params,
            progress=True,
            log_level=call.log_level or self.log_level,
            trace=call.trace,
        )

    async def _tell(self, call: Call) -> Reply:
        """Send a notification; that it left, or waits to, is all that can be known of it."""
        if self.link.lost:
            raise UnavailableError("the server is gone", server=self.server)
        try:
            body = encode_notification(call.method, call.params)
        except (TypeError, ValueError, RecursionError) as cause:
            raise InvalidArgumentsError(
                f"the parameters are not JSON ({cause})", server=self.server
            ) from cause
        call.flight.phase = "sending the notification"
        await self.link.notify(body)
        return Reply(raw={}, server=self.server, tool=call.public_name, call_id=call.id)

    def _encode_request(self, method: str, params: Mapping[str, Any] | None, flight: Flight) -> Request:
        number = self.link.next_id()
        name = params.get("name", params.get("uri")) if params else None
        return Request(
            id=number,
            method=method,
            body=self._encoder.request(number, method, params),
            flight=flight,
            name=name if isinstance(name, str) else None,
        )

    def _make_encoder(self) -> Encoder:
        era, identity = self.agreed.era, self._identity
        return Encoder(request_meta(era, dict(identity.info), identity.offer(era.family)))

    async def _continue(self, call: Call, frame: Frame) -> Frame:
        """Do what an answer that is no result asks for, where the era has it; else give it back."""
        flight, era = call.flight, self.agreed.era
        source = Source(flights=(flight,), tool=call.public_name)

        async def send(more: Mapping[str, Any]) -> Frame:
            flight.phase = "waiting for the answer"
            return await self._exchange(partial(self._encode_call, call, more), flight)

        if era.family == "modern" and call.method in METHODS and wants_input(frame.result):
            flight.phase, flight.plain = "answering what the server asks", False
            rounds = play_rounds(frame, send, self._answers, self.server, source)
            return await finish_rounds(rounds, self.link, self.server)
        error = frame.error
        if era.family == "modern" or error is UNSET or error.code != URL_ELICITATION_REQUIRED:
            return frame
        flight.phase = "waiting for a visit to a URL"
        visits = Visits(error, self._answers, self.server, source)
        await visits.make(self._incoming.completions)
        frame = await send({})
        if frame.error is not UNSET and frame.error.code == URL_ELICITATION_REQUIRED:
            raise visits.error("the server wants the visit again")
        return frame

    async def _take(self, frame: Frame) -> None:
        if frame.method is UNSET:
            return
        if frame.id is not UNSET and frame.id is not None:
            params = None if frame.params is UNSET else frame.params
            await self._incoming.take_request(frame.id, frame.method, params, self.agreed.era.family)
            return
        if not self._streams.take(frame.method, frame.params):
            return
        for kind in CHANGES.get(frame.method, ()):
            self.changes[kind].set()
        if not self._notices.take(frame.method, frame.params):
            return
        self._incoming.take_notification(frame.method, frame.params)
