"""What a broken network is called, the same for every transport that rides on one."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import aiohttp

from trunkline.errors import OutcomeUnknownError, UnavailableError

_LONGEST = 200
_DEFAULT_PORTS = {"https": 443, "wss": 443}


def cannot_connect(server: str, url: str, cause: BaseException) -> UnavailableError:
    """Give the error of a request none of whose bytes left."""
    return UnavailableError(
        f"cannot connect to {host_of(url)} ({describe(cause)})",
        code="connect_failed",
        server=server,
        hint="Check that the server runs and that the URL's host and port are right.",
    )


def lost_connection(server: str, cause: BaseException) -> OutcomeUnknownError:
    """Give the error of a request whose bytes left and whose answer did not come."""
    return OutcomeUnknownError(
        f"the connection was lost before the answer ({describe(cause)})",
        server=server,
        hint="The tool may have run; check its effect before calling again.",
    )


def host_of(url: str) -> str:
    """Give host and port only: the rest of a URL may hold credentials."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _DEFAULT_PORTS.get(parts.scheme, 80)}"


def describe(cause: BaseException) -> str:
    """Say what broke, in the system's words where there are some."""
    if isinstance(cause, aiohttp.ClientConnectorError):
        cause = cause.os_error
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        return os.strerror(cause.errno)
    text = str(cause) or type(cause).__name__
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
