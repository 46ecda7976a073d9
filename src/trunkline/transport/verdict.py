"""What an HTTP answer means for the request it answers: status, headers and body in, error out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from trunkline.core.backoff import bound
from trunkline.errors import (
    AuthorizationRequiredError,
    CallError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    UnavailableError,
)

PROXY_HINT = (
    'Check `proxy` of this server in trunkline.toml, or HTTPS_PROXY and NO_PROXY; "none" goes directly.'
)

_LONGEST = 365 * 86400.0
"""Seconds that anybody is told to wait: a number that clocks, and those who read it, can deal with."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Give the seconds of a `Retry-After` header, or None; a date counts from the answer's own `Date`.

    Source: RFC 9110, section 10.2.3.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError):
        return None
    return bound(wait.total_seconds(), _LONGEST)


def judge_status(server: str, status: int, headers: Mapping[str, str]) -> CallError:
    """Give the error of an answer that carries no JSON-RPC message of ours.

    Delivery follows ARCHITECTURE.md, "Delivery and errors": only what says "not executed" is
    `refused`; a bare 5xx may come from a proxy after the server has run the request.
    """
    wait = retry_after(headers)
    if status in (401, 403):
        return AuthorizationRequiredError(
            f"the server wants authorization (HTTP {status})",
            server=server,
            status=status,
            hint="Give the server's entry an `Authorization` header, such as `Bearer ${TOKEN}`.",
        )
    if status == 407:
        return refused_by_proxy(server, status)
    if status == 429:
        return RejectedError(
            "the server is limiting requests (HTTP 429)",
            server=server,
            status=status,
            retry_after=wait,
            delivery="refused" if wait is not None else "unknown",
            retryable=wait is not None,
        )
    if status == 503 and wait is not None:
        return UnavailableError(
            f"the server asks to come back in {wait:g} s (HTTP 503)",
            server=server,
            status=status,
            retry_after=wait,
            delivery="refused",
        )
    if 300 <= status < 400:
        return ProtocolError(
            f"the server redirects (HTTP {status}); redirects are not followed, so that no credential leaks",
            server=server,
            status=status,
            hint="Configure the URL it redirects to.",
        )
    if status >= 500:
        return OutcomeUnknownError(
            f"the server failed without saying whether the call ran (HTTP {status})",
            server=server,
            status=status,
            retry_after=wait,
        )
    return ProtocolError(
        f"the server gave no MCP answer (HTTP {status})",
        server=server,
        status=status,
        hint="Check that the URL is the server's MCP endpoint.",
    )


def refused_by_proxy(server: str, status: int) -> UnavailableError:
    """Give the error of a request that a proxy did not let through."""
    wants = status == 407
    return UnavailableError(
        "the proxy wants a user and a password (HTTP 407)"
        if wants
        else f"the proxy did not connect us (HTTP {status})",
        code="proxy_authorization" if wants else "proxy_refused",
        server=server,
        status=status,
        delivery="never_sent",
        hint='Write `proxy` as "http://${PROXY_USER}:${PROXY_PASSWORD}@host:port".' if wants else PROXY_HINT,
    )
