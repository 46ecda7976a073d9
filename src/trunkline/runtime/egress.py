"""The way out to one server: its TLS context and its proxy, from policy, the application and the environment.

Found anew for each connection, so that renewed certificates are used without a restart.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trunkline.config.entry import HttpEntry
from trunkline.config.proxy import find_proxy
from trunkline.config.reference import resolve
from trunkline.config.settings import ServerPolicy
from trunkline.core.tls import TlsSettings

if TYPE_CHECKING:
    from trunkline.transport.http_client import Egress

logger = logging.getLogger("trunkline.security")

Contexts = ssl.SSLContext | Mapping[str, ssl.SSLContext] | None
"""The application's own TLS contexts: one for all servers, or one by server name."""


def context_for(server: str, given: Contexts) -> ssl.SSLContext | None:
    """Give the application's own context for a server, or None."""
    return given.get(server) if isinstance(given, Mapping) else given


def warn_of_trust(entry: HttpEntry, rules: ServerPolicy, given: ssl.SSLContext | None) -> None:
    """Log that a server is believed to be whoever it says, where somebody has asked for that."""
    careless = not rules.tls.verify if given is None else given.verify_mode == ssl.CERT_NONE
    if careless and _is_secure(entry.url):
        line = f"{entry.name}: its certificate is not verified; anybody on the way can read and change all"
        logger.warning("%s", line, extra={"server": entry.name})


async def find_egress(
    entry: HttpEntry, rules: ServerPolicy, folder: Path, given: ssl.SSLContext | None
) -> Egress:
    """Give the way out to a server's URL.

    Args:
        folder: where relative paths of the settings begin.
        given: the application's own context, which replaces `rules.tls`.

    Raises:
        ConfigError: a file or a variable is missing or does not fit; names server, field and fix.
    """
    from trunkline.transport.http_client import Egress

    proxy = find_proxy(entry.url, rules.proxy, os.environ, server=entry.name)
    context = given
    secure = _is_secure(entry.url) or (proxy or "").startswith("https:")
    if context is None and secure and rules.tls != TlsSettings():
        context = await asyncio.to_thread(_make_context, entry.name, rules.tls, folder)
    return Egress(tls=context, proxy=proxy)


def _make_context(server: str, settings: TlsSettings, folder: Path) -> ssl.SSLContext:
    from trunkline.transport.tls import make_context

    password = resolve(settings.key_password, os.environ, server=server, field="tls.key_password")
    return make_context(server, settings, folder, password)


def _is_secure(url: str) -> bool:
    return urlsplit(url).scheme in ("https", "wss")
