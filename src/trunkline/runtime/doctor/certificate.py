"""What a server's certificate says: until when it holds and for whom, also where it is not accepted."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.errors import CallError
from trunkline.runtime.doctor.network import Address, reach, shake_hands

_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME: an expired certificate can be looked at."""
_DAY = 86_400.0
SOON = 14 * _DAY
"""Seconds before its end in which a certificate is worth a warning."""
_MOST_NAMES = 4


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of a certificate whose authority is trusted."""

    names: tuple[str, ...] = ()
    """Hosts and addresses it is for."""
    begins: str = ""
    ends: str = ""
    """Days, as `2027-01-31`; "" where it does not say."""
    ends_at: float | None = None
    """Seconds since 1970."""

    def describe_names(self) -> str:
        """Give the names in a few words."""
        more = len(self.names) - _MOST_NAMES
        shown = ", ".join(self.names[:_MOST_NAMES])
        return f"{shown} and {more} more" if more > 0 else shown


def read_certificate(secure: ssl.SSLObject) -> Certificate | None:
    """Read the certificate of an open connection; None where it was not verified."""
    return _read(secure.getpeercert() or {})


async def look_at_certificate(
    server: str, url: str, address: Address, context: ssl.SSLContext
) -> Certificate | None:
    """Connect once more and look at a certificate that was refused for its name or its time.

    Args:
        context: one that nothing else uses; its checks of name and time are switched off, that of the
            authority stays.
    """
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    # Nothing is sent over this connection, and why it fails is known already.
    with contextlib.suppress(CallError):
        sock, _ = await reach(server, url, [address])
        way, secure = await shake_hands(server, url, sock, context)
        try:
            return read_certificate(secure)
        finally:
            way.close()
    return None


async def default_context() -> ssl.SSLContext:
    """Give a context that trusts the authorities of the system; making one reads files."""
    return await asyncio.to_thread(ssl.create_default_context)


def _read(raw: Mapping[str, Any]) -> Certificate | None:
    if not raw:
        return None
    names = tuple(str(name) for kind, name in raw.get("subjectAltName", ()) if kind in ("DNS", "IP Address"))
    ends = raw.get("notAfter")
    return Certificate(
        names=names,
        begins=_day(raw.get("notBefore")),
        ends=_day(ends),
        ends_at=None if ends is None else float(ssl.cert_time_to_seconds(ends)),
    )


def _day(text: str | None) -> str:
    if text is None:
        return ""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC).strftime("%Y-%m-%d")
