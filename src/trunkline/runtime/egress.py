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

from trunkline.config.certificates import open_context
from trunkline.config.egress import UNVERIFIED, is_secure, is_unverified, needs_context
from trunkline.config.entry import HttpEntry
from trunkline.config.proxy import find_proxy
from trunkline.config.settings import ServerPolicy

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
    by_context = given is not None and given.verify_mode == ssl.CERT_NONE and is_secure(entry)
    if by_context or (given is None and is_unverified(entry, rules)):
        logger.warning("%s: %s", entry.name, UNVERIFIED, extra={"server": entry.name})


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

    where = str(folder)
    proxy = find_proxy(entry.url, rules.proxy, os.environ, server=entry.name, folder=where)
    context = given
    if context is None and needs_context(entry, rules, proxy):
        context = await asyncio.to_thread(open_context, entry.name, rules.tls, folder, os.environ)
    return Egress(tls=context, proxy=proxy)
