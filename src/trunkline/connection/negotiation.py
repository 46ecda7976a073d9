"""Which revision a server speaks: the verdict on each answer. Pure; the dialogue is in `probing`.

Sources: specification 2026-07-28, basic/versioning and the two transport pages ("Backward
Compatibility"); specification 2025-11-25, basic/lifecycle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from trunkline.errors import ProtocolError
from trunkline.protocol.eras import (
    ERAS,
    META_SERVER,
    MODERN,
    MODERN_CODES,
    UNSUPPORTED_VERSION,
    Era,
    Family,
)
from trunkline.protocol.frames import Frame


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
        raise no_common_revision(server, [str(revision)])
    return Negotiated(
        era=era,
        capabilities=_mapping(result.get("capabilities")),
        server_info=_mapping(result.get("serverInfo")),
        instructions=_text(result.get("instructions")),
    )


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
    raise no_common_revision(server, [str(revision) for revision in supported])


def no_common_revision(server: str, theirs: list[str]) -> ProtocolError:
    """Give the error of a server that speaks none of our revisions, or not the family it is pinned to."""
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
