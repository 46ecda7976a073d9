"""What to do about the errors that JSON-RPC itself defines; a server's own numbers are its own to explain.

Source: JSON-RPC 2.0, section 5.1; specification 2025-11-25, server/tools, "Error Handling".
"""

from __future__ import annotations

from trunkline.protocol.eras import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND

PARSE_ERROR = -32700

_ADVICE = {
    PARSE_ERROR: "It could not read what it was sent; `--wire -` shows it, to be reported to its author.",
    INVALID_REQUEST: "It may not know the session, or want the handshake first; see `trunkline doctor {}`.",
    METHOD_NOT_FOUND: "It has no such method; `trunkline info {}` shows what it offers.",
    INVALID_PARAMS: "It has no such name or does not take these arguments; see `trunkline info {}`.",
    INTERNAL_ERROR: "It failed inside: look at its log, and check the effect before calling again.",
}


def advise_on(rpc_code: int, server: str) -> str | None:
    """Give what to do about an error code, or None for one that is the server's own."""
    advice = _ADVICE.get(rpc_code)
    return None if advice is None else advice.format(server)
