"""Turns configured entries into servers the fleet can run; the only place that knows every transport."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import cast

from trunkline.config.entry import BadEntry, Entry, HttpEntry, PeerEntry, StdioEntry
from trunkline.config.policy import Policy
from trunkline.connection.negotiation import ClientIdentity
from trunkline.core.handlers import Handlers
from trunkline.core.limits import Limits
from trunkline.errors import ConfigError
from trunkline.runtime.importing import import_off_loop
from trunkline.security.redact import Redactor
from trunkline.security.sanitize import sanitize_text
from trunkline.supervision.settings import ServerSettings
from trunkline.transport.link import Link


def assemble(entry: Entry, policy: Policy, identity: ClientIdentity, handlers: Handlers) -> ServerSettings:
    """Give the settings of one server; a bad entry gives one that fails with its error."""
    rules = policy.for_server(entry.name)
    return ServerSettings(
        name=entry.name,
        transport=_kind(entry),
        open_link=functools.partial(_open, entry, rules.limits),
        identity=identity,
        handlers=handlers,
        limits=rules.limits,
        family=None if rules.era == "auto" else rules.era,
        connect_timeout=rules.connect,
    )


def client_identity(given: Mapping[str, str] | None) -> ClientIdentity:
    """Give who we say we are to servers: the application, or Trunkline itself."""
    from trunkline._version import __version__

    return ClientIdentity(info=dict(given or {"name": "trunkline", "version": __version__}))


async def _open(entry: Entry, limits: Limits) -> Link:
    match entry:
        case StdioEntry():
            from trunkline.transport.stdio import StdioTransport

            return await StdioTransport(
                server=entry.name,
                command=entry.command,
                args=entry.args,
                env=entry.env,
                cwd=entry.cwd,
                limits=limits,
                clean=_cleaner(entry.secrets),
            ).open()
        case HttpEntry(kind="http"):
            await import_off_loop("trunkline.transport.http")
            from trunkline.transport.http import HttpTransport

            return await HttpTransport(
                server=entry.name, url=entry.url, headers=entry.headers, limits=limits
            ).open()
        case HttpEntry():
            raise ConfigError(
                f"the transport {entry.kind!r} is not supported yet",
                server=entry.name,
                field="type",
                source=entry.source,
                hint="Use the server's Streamable HTTP endpoint (type `http`) or its stdio command.",
            )
        case PeerEntry():
            from trunkline.transport.memory import MemoryTransport, Peer

            return await MemoryTransport(server=entry.name, peer=cast(Peer, entry.peer), limits=limits).open()
        case BadEntry():
            raise entry.error


def _kind(entry: Entry) -> str:
    match entry:
        case StdioEntry():
            return "stdio"
        case HttpEntry():
            return entry.kind
        case PeerEntry():
            return "memory"
        case BadEntry():
            return ""


def _cleaner(secrets: tuple[str, ...]) -> Callable[[str], str]:
    redact = Redactor(secrets).clean
    return lambda line: sanitize_text(redact(line))
