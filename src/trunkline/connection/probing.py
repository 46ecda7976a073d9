"""The dialogue that opens a link: finds out the server's era, trying first what it was known to be.

Sources: specification 2026-07-28, basic/versioning and the two transport pages ("Backward
Compatibility"); specification 2025-11-25, basic/lifecycle.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import UNSET

from trunkline.connection.negotiation import (
    ClientIdentity,
    Negotiated,
    judge_discovery,
    judge_handshake,
    no_common_revision,
)
from trunkline.core.call import Flight
from trunkline.errors import (
    AuthorizationRequiredError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    UnavailableError,
)
from trunkline.protocol.eras import LATEST_LEGACY, MODERN, Family, request_meta
from trunkline.protocol.frames import Encoder, Frame, encode_notification
from trunkline.transport.link import Link, Request

_PROBE_PATIENCE = 1.0
"""Seconds a stdio server may leave `server/discover` unanswered before `initialize` is also sent."""
_MEMORY_PATIENCE = 3.0
"""The same for the request of the family it had in an earlier run: it is probably only slow."""
_REQUEST_PATIENCE = 10.0
"""The same over HTTP, where the request is given up before another one is sent."""


async def negotiate(
    link: Link,
    server: str,
    identity: ClientIdentity,
    family: Family | None,
    expected: Family | None = None,
) -> Negotiated:
    """Find the server's era on a fresh link, and open a legacy session where it needs one.

    Args:
        family: the only family to try, or None to find out.
        expected: the family it had in an earlier run, to be tried first; that it has another one now costs
            a request and no more.

    Raises:
        CallError: the server cannot be reached, refuses us, or speaks no revision of ours.
    """
    probe = _Dialogue(link, identity)
    if family == "legacy" or (family is None and link.kind == "sse"):
        agreed = judge_handshake(await probe.initialize(), server)
    elif link.kind == "sse":
        raise no_common_revision(server, ["a legacy revision"])
    elif link.kind in ("stdio", "memory", "websocket"):
        agreed = await _probe_stream(probe, server, family, expected)
    else:
        agreed = await _probe_http(probe, server, family, expected)
    link.adopt(agreed.era)
    if agreed.era.family == "legacy":
        await link.notify(encode_notification("notifications/initialized"))
        link.listen()
    return agreed


class _Dialogue:
    """The two opening requests of a link."""

    def __init__(self, link: Link, identity: ClientIdentity) -> None:
        self._link = link
        self._identity = identity

    async def discover(self) -> Frame:
        meta = request_meta(MODERN, dict(self._identity.info), self._identity.offer("modern"))
        self._link.adopt(MODERN)
        return await self._ask(Encoder(meta), "server/discover", {})

    async def initialize(self) -> Frame:
        params = {
            "protocolVersion": LATEST_LEGACY.revision,
            "capabilities": self._identity.offer("legacy"),
            "clientInfo": dict(self._identity.info),
        }
        # The version header starts after the handshake, with the revision that was agreed.
        self._link.adopt(msgspec.structs.replace(LATEST_LEGACY, version_header=False))
        return await self._ask(Encoder({}), "initialize", params)

    async def _ask(self, encoder: Encoder, method: str, params: dict[str, Any]) -> Frame:
        number = self._link.next_id()
        flight = Flight(asyncio.get_running_loop().time())
        body = encoder.request(number, method, params)
        return await self._link.request(Request(id=number, method=method, body=body, flight=flight))


async def _probe_stream(
    probe: _Dialogue, server: str, family: Family | None, expected: Family | None
) -> Negotiated:
    """Send `server/discover`; and `initialize` too when it stays unanswered; the first answer decides.

    A server that is expected to be legacy is sent `initialize` first.
    """
    discovery: asyncio.Future[Frame] | None = None
    handshake: asyncio.Future[Frame] | None = None
    try:
        if expected == "legacy" and family is None:
            handshake = asyncio.ensure_future(probe.initialize())
            await asyncio.wait({handshake}, timeout=_MEMORY_PATIENCE)
            if handshake.done():
                if (agreed := _agreed_by(handshake, server)) is not None:
                    return agreed
                handshake = None
        discovery = asyncio.ensure_future(probe.discover())
        if family != "modern":
            patience = _MEMORY_PATIENCE if expected == "modern" else _PROBE_PATIENCE
            either = {one for one in (discovery, handshake) if one is not None}
            await asyncio.wait(either, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not discovery.done():
                handshake = handshake or asyncio.ensure_future(probe.initialize())
                await asyncio.wait({discovery, handshake}, return_when=asyncio.FIRST_COMPLETED)
        # A refused handshake is no answer of a legacy server: a slow modern one met both at once.
        if not discovery.done() and handshake is not None and handshake.result().error is UNSET:
            return judge_handshake(handshake.result(), server)
        try:
            verdict = judge_discovery(await discovery, server)
        except ProtocolError as cause:
            if cause.code != "malformed_answer" or family == "modern":
                raise
            # A modern server knows the request and how to answer it.
            verdict = "initialize"
        if verdict != "initialize":
            return verdict
        if family == "modern":
            raise no_common_revision(server, ["a legacy revision"])
        return judge_handshake(await (handshake or probe.initialize()), server)
    finally:
        await _end_all(discovery, handshake)


async def _end_all(*futures: asyncio.Future[Frame] | None) -> None:
    for future in futures:
        if future is None:
            continue
        future.cancel()
        await asyncio.wait({future})
        if not future.cancelled():
            future.exception()


def _agreed_by(handshake: asyncio.Future[Frame], server: str) -> Negotiated | None:
    """Give what an answer to `initialize` agrees on, or None where it is none of a legacy server."""
    try:
        return judge_handshake(handshake.result(), server)
    except ProtocolError:
        return None


async def _probe_http(
    probe: _Dialogue, server: str, family: Family | None, expected: Family | None
) -> Negotiated:
    """Try a modern request; what is no recognized modern answer means a legacy server.

    One that is expected to be legacy is sent `initialize` first.
    """
    if expected == "legacy" and family is None:
        try:
            async with asyncio.timeout(_REQUEST_PATIENCE):
                return judge_handshake(await probe.initialize(), server)
        except TimeoutError:
            pass  # it may have become one that does not know the request, and does not say so
        except (ProtocolError, OutcomeUnknownError) as cause:
            if _is_no_answer(cause):
                raise
    try:
        verdict = judge_discovery(await probe.discover(), server)
    except (AuthorizationRequiredError, RejectedError, UnavailableError):
        raise
    except (ProtocolError, OutcomeUnknownError) as cause:
        if cause.status is None or _is_no_answer(cause):
            raise
        verdict = "initialize"
    if verdict != "initialize":
        return verdict
    if family == "modern":
        raise no_common_revision(server, ["a legacy revision"])
    return judge_handshake(await probe.initialize(), server)


def _is_no_answer(cause: ProtocolError | OutcomeUnknownError) -> bool:
    """Whether a failed request says nothing of the server's era: it was lost, or a proxy answered."""
    if cause.status is None:
        return isinstance(cause, OutcomeUnknownError)
    return cause.status in (502, 503, 504)
