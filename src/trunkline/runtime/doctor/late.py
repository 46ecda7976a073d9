"""What it means that the time ran out in a phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.errors import ProtocolError, UnavailableError
from trunkline.runtime.doctor.checkup import Phase

if TYPE_CHECKING:
    from trunkline.runtime.doctor.examination import Examination

_SILENT: dict[Phase, tuple[str, str]] = {
    "proxy": ("proxy_timeout", "the proxy did not answer within {}"),
    "dns": ("dns_timeout", "looking up its host was not answered within {}"),
    "tcp": ("tcp_timeout", "{place} did not answer within {}"),
    "tls": ("tls_timeout", "{place} did not answer the TLS handshake within {}"),
    "http": ("http_timeout", "no HTTP answer came within {}"),
    "process": ("no_answer", "its process runs and has answered nothing within {}"),
    "negotiation": ("negotiation_timeout", "it has not finished the negotiation within {}"),
    "tools": ("list_timeout", "it did not list its tools within {}"),
    "ping": ("silent", "it did not answer a ping within {}"),
}


def too_late(examination: Examination) -> UnavailableError | ProtocolError:
    """Give the error of an examination whose time ran out."""
    phase = examination.chart.current
    name, span = examination.entry.name, f"{examination.bound:g} s"
    witness = examination.witness
    if phase == "negotiation" and examination.settings.transport == "sse" and not witness.posts:
        return ProtocolError(
            "the server named no endpoint: nothing came in time",
            code="no_endpoint",
            server=name,
            hint="Check that the URL is the server's SSE endpoint.",
        )
    code, text = _SILENT.get(phase, ("connect_timeout", "it did not become ready within {}"))
    place = ":".join(str(part) for part in examination.facts.place or ())
    return UnavailableError(text.format(span, place=place), code=code, server=name)
