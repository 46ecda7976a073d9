"""What a broken network is called, the same for every transport that rides on one."""

from __future__ import annotations

import os
import ssl
from urllib.parse import urlsplit

import aiohttp

from trunkline.errors import CallError, OutcomeUnknownError, UnavailableError
from trunkline.transport.tls import explain_tls
from trunkline.transport.verdict import PROXY_HINT, refused_by_proxy

_LONGEST = 200
_DEFAULT_PORTS = {"https": 443, "wss": 443}


def cannot_connect(server: str, url: str, cause: BaseException) -> CallError:
    """Give the error of a request none of whose bytes left."""
    if isinstance(cause, aiohttp.ClientProxyConnectionError):
        return UnavailableError(
            f"cannot connect to the proxy {cause.host}:{cause.port} ({describe(cause)})",
            code="proxy_unreachable",
            server=server,
            hint=PROXY_HINT,
        )
    if isinstance(cause, aiohttp.ClientHttpProxyError):
        return refused_by_proxy(server, cause.status)
    if (failed := explain_tls(server, host_of(url), tls_cause(cause))) is not None:
        return failed
    if _was_reset(cause) and urlsplit(url).scheme in _DEFAULT_PORTS:
        return UnavailableError(
            f"cannot connect to {host_of(url)}: it broke off with the TLS handshake, saying nothing",
            code="tls_refused",
            server=server,
            hint="It may want a client certificate (`tls.cert`) or another version of TLS; see its log.",
        )
    return UnavailableError(
        f"cannot connect to {host_of(url)} ({describe(cause)})",
        code="connect_failed",
        server=server,
        hint="Check that the server runs and that the URL's host and port are right.",
    )


def lost_connection(server: str, url: str, cause: BaseException) -> CallError:
    """Give the error of a request whose bytes left and whose answer did not come.

    With TLS 1.3 a server says only after the handshake that it does not accept us; it has read nothing then.
    """
    failed = explain_tls(server, host_of(url), tls_cause(cause))
    if failed is not None and failed.code == "tls_client_certificate":
        failed.delivery = "refused"
        return failed
    return OutcomeUnknownError(
        f"the connection was lost before the answer ({describe(cause)})",
        server=server,
        hint="The tool may have run; check its effect before calling again.",
    )


def tls_cause(cause: BaseException) -> BaseException | None:
    """Give the error of TLS that this one came of, or None."""
    inner = [getattr(cause, "certificate_error", None), getattr(cause, "os_error", None), cause.__cause__]
    # Errors of aiohttp are errors of TLS by inheritance, but say nothing: what they wrap does.
    found = [one for one in (*inner, cause) if isinstance(one, ssl.SSLError)]
    return found[0] if found else None


def _was_reset(cause: BaseException) -> bool:
    """Whether the peer broke the connection off: with TLS 1.3 that may be its answer to our certificate."""
    found = (cause, getattr(cause, "os_error", None), cause.__cause__)
    broken = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
    return any(isinstance(one, broken) for one in found)


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
    if isinstance(cause, aiohttp.InvalidURL):
        return "a URL that cannot be used"  # its own text repeats the URL, with the credentials in it
    text = str(cause) or type(cause).__name__
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
