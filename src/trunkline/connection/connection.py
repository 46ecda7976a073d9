"""One negotiated link to one server. Its owner's task runs `serve`; callers' tasks call.

A challenge that belongs to the protocol, such as a lost legacy session, is answered here; whether a
failed call may be tried again is never decided here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET

from trunkline.connection.listing import Pages, read_pages
from trunkline.connection.negotiation import ClientIdentity, Negotiated, negotiate
from trunkline.core.call import Call, Flight
from trunkline.core.handlers import Handlers
from trunkline.core.limits import Limits
from trunkline.core.reply import Reply
from trunkline.errors import (
    InvalidArgumentsError,
    OutcomeUnknownError,
    ProtocolError,
    ServerError,
    TrunklineError,
)
from trunkline.protocol.eras import METHOD_NOT_FOUND, REFUSING_CODES, Family, request_meta
from trunkline.protocol.frames import Encoder, Frame, RequestId, encode_error, encode_result
from trunkline.transport.link import Link, Request, SessionLostError

logger = logging.getLogger("trunkline.connection")


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
        handlers: Handlers,
    ) -> None:
        self.server = server
        self.link = link
        self.agreed = agreed
        self.tools_changed = asyncio.Event()
        """Set when the server says that its list of tools has changed."""
        self._identity = identity
        self._limits = limits
        self._handlers = handlers
        self._reopening: asyncio.Task[Negotiated] | None = None
        self._encoder = self._make_encoder()

    @classmethod
    async def open(
        cls,
        server: str,
        link: Link,
        identity: ClientIdentity,
        *,
        family: Family | None = None,
        limits: Limits,
        handlers: Handlers,
    ) -> Connection:
        """Negotiate on a fresh link. The link stays the caller's to close, whatever happens.

        Raises:
            CallError: the server cannot be reached or shares no revision with us.
        """
        agreed = await negotiate(link, server, identity, family)
        return cls(server, link, agreed, identity, limits=limits, handlers=handlers)

    @property
    def revision(self) -> str:
        """The protocol revision in use, such as `2025-11-25`."""
        return self.agreed.era.revision

    async def call(self, call: Call) -> Reply:
        """Make one tool call, once.

        Raises:
            CallError: with a true `delivery`.
        """
        flight = call.flight
        flight.phase = "waiting for the answer"
        flight.stderr = self.link.stderr_tail
        try:
            frame = await self._exchange(call)
        except SessionLostError:
            frame = await self._call_in_new_session(call)
        result = self._result_of(frame, call.name)
        flight.delivery = "answered"
        return Reply(
            raw=result,
            server=self.server,
            tool=call.public_name,
            call_id=call.id,
            era=self.agreed.era.revision,
            transport=self.link.kind,
            ttl_ms=_ttl(result),
            scope=_scope(result),
        )

    async def request(self, method: str, params: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Send any request and give its result.

        Raises:
            CallError: with a true `delivery`.
        """
        number = self.link.next_id()
        body = self._encoder.request(number, method, params)
        flight = Flight(asyncio.get_running_loop().time())
        name = params.get("name", params.get("uri")) if params else None
        request = Request(
            id=number, method=method, body=body, flight=flight, name=name if isinstance(name, str) else None
        )
        try:
            frame = await self.link.request(request)
        except SessionLostError as cause:
            raise self._session_lost() from cause
        return self._result_of(frame, method)

    async def list_tools(self) -> Pages:
        """Read all pages of the tool list; empty when the server says it has no tools."""
        if self.agreed.capabilities and "tools" not in self.agreed.capabilities:
            return Pages(items=())
        return await read_pages(lambda params: self.request("tools/list", params), "tools", self._limits)

    async def serve(self) -> None:
        """Handle what the server sends outside exchanges, until the link is lost."""
        while (frame := await self.link.unsolicited.get()) is not None:
            if frame.method is UNSET:
                continue
            if frame.id is UNSET or frame.id is None:
                self._take_notification(frame.method, frame.params)
            else:
                await self._answer(frame.id, frame.method)

    async def _exchange(self, call: Call) -> Frame:
        number = self.link.next_id()
        try:
            body = self._encoder.call_tool(number, call.name, call.arguments)
        except (TypeError, ValueError, RecursionError) as cause:
            raise InvalidArgumentsError(
                f"the arguments are not JSON ({cause})",
                server=self.server,
                tool=call.public_name,
                hint="Pass strings, numbers, booleans, None, lists and dictionaries only.",
            ) from cause
        return await self.link.request(
            Request(
                id=number,
                method="tools/call",
                body=body,
                flight=call.flight,
                name=call.name,
                headers=call.headers,
            )
        )

    async def _call_in_new_session(self, call: Call) -> Frame:
        """The server refused an unknown session, so it ran nothing: open a new one and send once more."""
        call.flight.delivery = "refused"
        await self._reopen()
        try:
            return await self._exchange(call)
        except SessionLostError as cause:
            raise self._session_lost() from cause

    async def _reopen(self) -> None:
        """Open a new legacy session; callers who lost the same one share it."""
        if self._reopening is None or self._reopening.done():
            forget = getattr(self.link, "forget_session", None)
            if forget is not None:
                forget()
            self._reopening = asyncio.ensure_future(
                negotiate(self.link, self.server, self._identity, "legacy")
            )
        self.agreed = await asyncio.shield(self._reopening)
        self._encoder = self._make_encoder()

    def _session_lost(self) -> OutcomeUnknownError:
        return OutcomeUnknownError(
            "the server lost the session again at once",
            server=self.server,
            delivery="refused",
            retryable=True,
            status=404,
        )

    def _make_encoder(self) -> Encoder:
        identity = self._identity
        return Encoder(request_meta(self.agreed.era, dict(identity.info), dict(identity.capabilities)))

    def _result_of(self, frame: Frame, name: str) -> dict[str, Any]:
        if frame.error is not UNSET:
            error = frame.error
            raise ServerError(
                f"the server answered with error {error.code}: {error.message}",
                rpc_code=error.code,
                rpc_message=error.message,
                data=error.data,
                server=self.server,
                delivery="refused" if error.code in REFUSING_CODES else "answered",
            )
        if not isinstance(frame.result, dict):
            raise self._bad_result(f"the result of {name!r} is not an object")
        if (kind := frame.result.get("resultType", "complete")) != "complete":
            raise self._bad_result(f"the result of {name!r} has the type {kind!r}, which was not asked for")
        return frame.result

    def _bad_result(self, message: str) -> ProtocolError:
        return ProtocolError(
            message,
            code="malformed_answer",
            server=self.server,
            delivery="answered",
            hint="The tool may have run; report the malformed answer to the server's author.",
        )

    def _take_notification(self, method: str, params: Any) -> None:
        if method == "notifications/tools/list_changed":
            self.tools_changed.set()
        if (handler := self._handlers.notifications.get(method)) is None:
            return
        _run_handler(handler, self.server, params if isinstance(params, dict) else {})

    async def _answer(self, request_id: RequestId, method: str) -> None:
        """Answer a legacy server's request; what we did not declare is refused."""
        if method == "ping":
            body = encode_result(request_id, {})
        else:
            body = encode_error(request_id, METHOD_NOT_FOUND, f"this client does not offer {method}")
        try:
            await self.link.notify(body)
        except TrunklineError as error:
            logger.debug("%s: could not answer %s: %s", self.server, method, error)


def _run_handler(
    handler: Callable[[str, Mapping[str, Any]], None], server: str, params: Mapping[str, Any]
) -> None:
    try:
        handler(server, params)
    except Exception:  # boundary: the application's handler must not end the connection it listens to
        logger.exception("a notification handler failed for %s", server)


def _ttl(result: Mapping[str, Any]) -> int | None:
    ttl = result.get("ttlMs")
    return ttl if type(ttl) is int and ttl >= 0 else None


def _scope(result: Mapping[str, Any]) -> str | None:
    scope = result.get("cacheScope")
    return scope if isinstance(scope, str) else None
