"""Which revision a server speaks: the verdict on each answer first, the short dialogue below.

Sources: specification 2026-07-28, basic/versioning and the two transport pages ("Backward
Compatibility"); specification 2025-11-25, basic/lifecycle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from trunkline.core.call import Flight
from trunkline.errors import (
    AuthorizationRequiredError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    UnavailableError,
)
from trunkline.protocol.eras import (
    ERAS,
    LATEST_LEGACY,
    META_SERVER,
    MODERN,
    MODERN_CODES,
    UNSUPPORTED_VERSION,
    Era,
    Family,
    request_meta,
)
from trunkline.protocol.frames import Encoder, Frame, encode_notification
from trunkline.transport.link import Link, Request

_PROBE_PATIENCE = 1.0
"""Seconds a stdio server may leave `server/discover` unanswered before `initialize` is also sent."""


class ClientIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Who we say we are."""

    info: Mapping[str, str]
    """`clientInfo`: name and version."""
    capabilities: Mapping[str, Any] = {}
    """What we offer to servers of both families."""
    offers: Mapping[Family, Mapping[str, Any]] = {}
    """What we offer besides to those of one family."""

    def offer(self, family: Family) -> dict[str, Any]:
        """Give the capabilities to declare."""
        return {**self.capabilities, **self.offers.get(family, {})}


class Negotiated(msgspec.Struct, frozen=True, kw_only=True):
    """What was agreed with one server."""

    era: Era
    capabilities: Mapping[str, Any] = {}
    server_info: Mapping[str, Any] = {}
    """What the server says of itself; for display only."""
    instructions: str | None = None


Next = Literal["initialize"]
"""The verdict that a server wants the legacy handshake."""


def judge_discovery(frame: Frame, server: str) -> Negotiated | Next:
    """Decide from the answer to `server/discover`.

    Raises:
        ProtocolError: a modern server that shares no revision with us.
    """
    result = frame.result
    if isinstance(result, dict) and isinstance(result.get("supportedVersions"), list):
        return _choose(result["supportedVersions"], server, result)
    if frame.error is not UNSET and frame.error.code in MODERN_CODES:
        data = frame.error.data
        supported = data.get("supported") if isinstance(data, dict) else None
        if frame.error.code == UNSUPPORTED_VERSION and isinstance(supported, list):
            return _choose(supported, server, {})
        return Negotiated(era=MODERN)
    return "initialize"


def judge_handshake(frame: Frame, server: str) -> Negotiated:
    """Decide from the answer to `initialize`.

    Raises:
        ProtocolError: an error, a malformed result, or a revision we do not speak.
    """
    if frame.error is not UNSET:
        raise ProtocolError(
            f"the server refused `initialize`: {frame.error.message} ({frame.error.code})",
            code="handshake_refused",
            server=server,
            delivery="never_sent",
            hint="Check the server's log; it may need a newer Trunkline or other settings.",
        )
    result = frame.result
    revision = result.get("protocolVersion") if isinstance(result, dict) else None
    era = ERAS.get(revision) if isinstance(revision, str) else None
    if era is None or era.family != "legacy":
        raise _no_common_revision(server, [str(revision)])
    return Negotiated(
        era=era,
        capabilities=_mapping(result.get("capabilities")),
        server_info=_mapping(result.get("serverInfo")),
        instructions=_text(result.get("instructions")),
    )


async def negotiate(link: Link, server: str, identity: ClientIdentity, family: Family | None) -> Negotiated:
    """Find the server's era on a fresh link, and open a legacy session where it needs one.

    Args:
        family: the only family to try, or None to find out.

    Raises:
        CallError: the server cannot be reached, refuses us, or speaks no revision of ours.
    """
    probe = _Dialogue(link, identity)
    if family == "legacy" or (family is None and link.kind == "sse"):
        agreed = judge_handshake(await probe.initialize(), server)
    elif link.kind == "sse":
        raise _no_common_revision(server, ["a legacy revision"])
    elif link.kind in ("stdio", "memory", "websocket"):
        agreed = await _probe_stream(probe, server, family)
    else:
        agreed = await _probe_http(probe, server, family)
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


async def _probe_stream(probe: _Dialogue, server: str, family: Family | None) -> Negotiated:
    """Send `server/discover`; and `initialize` too when it stays unanswered; the first answer decides."""
    discovery = asyncio.ensure_future(probe.discover())
    handshake: asyncio.Future[Frame] | None = None
    try:
        if family != "modern":
            await asyncio.wait({discovery}, timeout=_PROBE_PATIENCE)
            if not discovery.done():
                handshake = asyncio.ensure_future(probe.initialize())
                await asyncio.wait({discovery, handshake}, return_when=asyncio.FIRST_COMPLETED)
        # A refused handshake is no answer of a legacy server: a slow modern one met both at once.
        if not discovery.done() and handshake is not None and handshake.result().error is UNSET:
            return judge_handshake(handshake.result(), server)
        verdict = judge_discovery(await discovery, server)
        if verdict != "initialize":
            return verdict
        if family == "modern":
            raise _no_common_revision(server, ["a legacy revision"])
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


async def _probe_http(probe: _Dialogue, server: str, family: Family | None) -> Negotiated:
    """Try a modern request; what is no recognized modern answer means a legacy server."""
    try:
        verdict = judge_discovery(await probe.discover(), server)
    except (AuthorizationRequiredError, RejectedError, UnavailableError):
        raise
    except (ProtocolError, OutcomeUnknownError) as cause:
        if cause.status is None or cause.status in (502, 503, 504):
            raise
        verdict = "initialize"
    if verdict != "initialize":
        return verdict
    if family == "modern":
        raise _no_common_revision(server, ["a legacy revision"])
    return judge_handshake(await probe.initialize(), server)


def _choose(supported: list[Any], server: str, result: Mapping[str, Any]) -> Negotiated | Next:
    if MODERN.revision in supported:
        return Negotiated(
            era=MODERN,
            capabilities=_mapping(result.get("capabilities")),
            server_info=_mapping(_mapping(result.get("_meta")).get(META_SERVER)),
            instructions=_text(result.get("instructions")),
        )
    if any(revision in ERAS for revision in supported if isinstance(revision, str)):
        return "initialize"
    raise _no_common_revision(server, [str(revision) for revision in supported])


def _no_common_revision(server: str, theirs: list[str]) -> ProtocolError:
    return ProtocolError(
        f"the server speaks {', '.join(theirs[:5]) or 'no revision'}, and Trunkline {', '.join(ERAS)}",
        code="no_common_revision",
        server=server,
        delivery="never_sent",
        hint="Update the server or Trunkline, or correct `era` in trunkline.toml if it pins one.",
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
