"""The rules of each protocol revision, as data.

`legacy` revisions open a session with an `initialize` handshake; `modern` ones carry version and
capabilities in every request (specification 2026-07-28, basic/versioning, "Terminology").
"""

from __future__ import annotations

from typing import Literal

import msgspec

Family = Literal["legacy", "modern"]


class Era(msgspec.Struct, frozen=True, kw_only=True):
    """What one revision asks of a client."""

    revision: str
    family: Family
    batches: bool = False
    """A frame may be an array of messages (2025-03-26 only)."""
    version_header: bool = False
    """HTTP requests carry `MCP-Protocol-Version` (from 2025-06-18)."""
    mirrored_headers: bool = False
    """HTTP requests carry `Mcp-Method`, `Mcp-Name` and `Mcp-Param-*` (from 2026-07-28)."""
    cancels_by_closing: bool = False
    """Over HTTP, closing the response stream cancels the request; else a notification does."""
    ping: bool = True


MODERN = Era(
    revision="2026-07-28",
    family="modern",
    version_header=True,
    mirrored_headers=True,
    cancels_by_closing=True,
    ping=False,
)
LATEST_LEGACY = Era(revision="2025-11-25", family="legacy", version_header=True)

ERAS: dict[str, Era] = {
    era.revision: era
    for era in (
        MODERN,
        LATEST_LEGACY,
        Era(revision="2025-06-18", family="legacy", version_header=True),
        Era(revision="2025-03-26", family="legacy", batches=True),
        Era(revision="2024-11-05", family="legacy"),
    )
}
"""Every revision this client speaks, newest first."""

INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
URL_ELICITATION_REQUIRED = -32042
"""A person has to visit URLs before the call can be made (2025-11-25, client/elicitation)."""
HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022
MODERN_CODES = frozenset({HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION})
"""Error codes that only a modern server sends (specification 2026-07-28, basic/index, "Error Codes")."""
REFUSING_CODES = MODERN_CODES | {METHOD_NOT_FOUND}
"""Error codes with which a peer says that it did not execute the request."""

_PREFIX = "io.modelcontextprotocol/"
META_VERSION = _PREFIX + "protocolVersion"
META_CLIENT = _PREFIX + "clientInfo"
META_CAPABILITIES = _PREFIX + "clientCapabilities"
META_SERVER = _PREFIX + "serverInfo"
META_LOG_LEVEL = _PREFIX + "logLevel"
"""Asks for the log messages of one request; without it a modern server sends none."""


def request_meta(era: Era, client_info: dict[str, str], capabilities: dict[str, object]) -> dict[str, object]:
    """Give the `_meta` members that every request of this era carries (empty for legacy ones)."""
    if era.family == "legacy":
        return {}
    return {META_VERSION: era.revision, META_CLIENT: client_info, META_CAPABILITIES: capabilities}
