"""The phases on the way to a URL: proxy, DNS, TCP, TLS."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trunkline.config.entry import HttpEntry
from trunkline.config.policy import Policy
from trunkline.config.proxy import ENVIRONMENT, proxy_variable
from trunkline.errors import CallError, UnavailableError
from trunkline.runtime.doctor.advice import warn
from trunkline.runtime.doctor.certificate import (
    SOON,
    Certificate,
    default_context,
    look_at_certificate,
    read_certificate,
)
from trunkline.runtime.doctor.network import (
    Address,
    Way,
    await_refusal,
    find_addresses,
    open_tunnel,
    proxy_place,
    reach,
    shake_hands,
)
from trunkline.runtime.egress import find_egress
from trunkline.transport.network import describe
from trunkline.transport.verdict import PROXY_HINT

if TYPE_CHECKING:
    import socket

    from trunkline.runtime.doctor.examination import Examination

_REFUSED = frozenset({"tls_wrong_name", "tls_expired"})


async def find_way(
    examination: Examination,
    entry: HttpEntry,
    policy: Policy,
    given: ssl.SSLContext | None,
    today: float | None,
) -> None:
    """Examine each step to a server by itself; nothing that is opened here stays open.

    Args:
        given: the application's own TLS context.
        today: seconds since 1970, or None.

    Raises:
        TrunklineError: with the code of the step that fails.
    """
    await _Search(examination, entry, policy, given, today).run()


class _Search:
    def __init__(
        self,
        examination: Examination,
        entry: HttpEntry,
        policy: Policy,
        given: ssl.SSLContext | None,
        today: float | None,
    ) -> None:
        self._examination = examination
        self._chart = examination.chart
        self._entry = entry
        self._policy = policy
        self._rules = policy.for_server(entry.name)
        self._given = given
        self._today = today
        self._secure = urlsplit(entry.url).scheme in ("https", "wss")
        self._addresses: list[Address] = []

    async def run(self) -> None:
        self._chart.begin("proxy")
        proxy, context = await self._find_egress()
        if self._secure and context is None:
            # Before anything is open that would be lost with a cancellation.
            context = await default_context()
        if proxy is not None:
            self._examination.know(proxy_of=self._who_says())
            start: socket.socket | Way = await self._through(proxy, context)
        else:
            self._chart.end("none")
            start = await self._directly()
        if context is None or not self._secure:
            self._chart.skip("tls", f"{urlsplit(self._entry.url).scheme}:// is without")
            start.close()
            return
        self._chart.begin("tls")
        await self._check_tls(start, context, direct=proxy is None)

    async def _find_egress(self) -> tuple[str | None, ssl.SSLContext | None]:
        egress = await find_egress(self._entry, self._rules, self._policy.folder, self._given)
        return egress.proxy, egress.tls

    async def _through(self, proxy: str, context: ssl.SSLContext | None) -> socket.socket | Way:
        """Reach the proxy, and the server through it where TLS is spoken with that."""
        host, port = proxy_place(proxy)
        name = self._entry.name
        shown = f"{host}:{port}, of {self._who_says()}"
        try:
            addresses = await find_addresses(name, host, port)
            sock, _ = await reach(name, proxy, addresses)
        except CallError as cause:
            reason = describe(cause.__cause__) if isinstance(cause.__cause__, OSError) else cause.message
            raise UnavailableError(
                f"cannot connect to the proxy {host}:{port} ({reason})",
                code="proxy_unreachable",
                server=name,
                hint=PROXY_HINT,
            ) from cause
        start: socket.socket | Way = sock
        if self._secure and context is not None:
            start = await open_tunnel(name, self._entry.url, proxy, sock, context)
        self._chart.end(self._examination.settings.clean(shown))
        self._chart.skip("dns", "left to the proxy")
        self._chart.skip("tcp", "left to the proxy")
        return start

    def _who_says(self) -> str:
        if self._rules.proxy != ENVIRONMENT:
            return "trunkline.toml"
        return proxy_variable(self._entry.url, os.environ) or ""

    async def _directly(self) -> socket.socket:
        parts, name = urlsplit(self._entry.url), self._entry.name
        port = parts.port or (443 if self._secure else 80)
        self._chart.begin("dns")
        self._addresses = await find_addresses(name, parts.hostname or "", port)
        self._chart.end(", ".join(dict.fromkeys(address.text for address in self._addresses[:4])))
        self._chart.begin("tcp")
        sock, address = await reach(name, self._entry.url, self._addresses)
        self._addresses = [address]
        self._chart.end(f"{address.text} port {port}")
        return sock

    async def _check_tls(self, start: socket.socket | Way, context: ssl.SSLContext, *, direct: bool) -> None:
        name, url = self._entry.name, self._entry.url
        try:
            way, secure = await shake_hands(name, url, start, context)
        except CallError as error:
            if direct and error.code in _REFUSED and self._given is None:
                own = (await self._find_egress())[1] or await default_context()
                self._know(await look_at_certificate(name, url, self._addresses[0], own))
            raise
        try:
            await await_refusal(name, url, way)
            version, certificate = secure.version() or "TLS", read_certificate(secure)
        finally:
            way.close()
        self._know(certificate)
        until = f", certificate until {certificate.ends}" if certificate is not None else ", not verified"
        self._chart.end(f"{version}{until}")
        self._warn_of_end(certificate)

    def _know(self, certificate: Certificate | None) -> None:
        self._examination.know(certificate=certificate)

    def _warn_of_end(self, certificate: Certificate | None) -> None:
        if certificate is None or certificate.ends_at is None or self._today is None:
            return
        if certificate.ends_at - self._today < SOON:
            text = f"its certificate expires on {certificate.ends}"
            self._chart.add(warn("certificate_expires_soon", "tls", text, self._examination.facts))
