"""Turns configured entries into servers the fleet can run; the only place that knows every transport."""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast
from urllib.parse import urlsplit

from msgspec.structs import replace

from trunkline.config.endpoints import endpoints_of, show_endpoint
from trunkline.config.entry import BadEntry, Entry, HttpEntry, PeerEntry, StdioEntry
from trunkline.config.loading import Config
from trunkline.config.policy import Policy
from trunkline.config.settings import ServerPolicy
from trunkline.connection.declared import declare
from trunkline.connection.negotiation import ClientIdentity
from trunkline.core.backoff import Backoff
from trunkline.core.handlers import Handlers
from trunkline.errors import ConfigError
from trunkline.runtime.bounding import warn_of_limits
from trunkline.runtime.egress import Contexts, context_for, find_egress, warn_of_trust
from trunkline.runtime.importing import import_off_loop
from trunkline.runtime.reading import read_list
from trunkline.security.redact import Redactor
from trunkline.security.sanitize import sanitize_text
from trunkline.supervision.recovery import RestartPolicy
from trunkline.supervision.settings import ServerSettings
from trunkline.telemetry.server_logs import ServerLogs, hearing
from trunkline.transport.link import Link

if TYPE_CHECKING:
    from trunkline.runtime.remembering import Remembering
    from trunkline.telemetry.wire_log import WireLog
    from trunkline.transport.http import HttpTransport
    from trunkline.transport.http_client import Egress
    from trunkline.transport.memory import MemoryTransport
    from trunkline.transport.stdio import StdioTransport
    from trunkline.transport.websocket import WebSocketTransport
    from trunkline.transport.wire import Wire

Stream = TypeVar("Stream", "StdioTransport", "MemoryTransport")


class _Way(NamedTuple):
    """What leads to a server besides its entry."""

    rules: ServerPolicy
    folder: Path
    """Where relative paths of the rules begin."""
    context: ssl.SSLContext | None
    logs: ServerLogs | None
    """What keeps the lines of standard error."""

    async def find(self, entry: HttpEntry) -> Egress:
        """Give the way out to a URL."""
        return await find_egress(entry, self.rules, self.folder, self.context)


def assemble(
    entry: Entry,
    policy: Policy,
    identity: ClientIdentity,
    handlers: Handlers,
    log: WireLog | None = None,
    contexts: Contexts = None,
    logs: ServerLogs | None = None,
    remembering: Remembering | None = None,
) -> ServerSettings:
    """Give the settings of one server; a bad entry gives one that fails with its error.

    Args:
        log: where everything on the server's links is shown, or None.
        contexts: the application's own TLS contexts.
        logs: what keeps the lines of standard error, or None.
        remembering: knows what the server was like in an earlier run; not with a context of the
            application's own, of which nobody can tell whether it is the same in another one.
    """
    rules = policy.for_server(entry.name)
    own, *replicas = (
        assemble_endpoint(one, policy, identity, handlers, log, contexts, logs, remembering)
        for one in endpoints_of(entry, policy)
    )
    return replace(
        own,
        lazy=rules.lazy,
        pool=rules.pool,
        max_concurrency=rules.max_concurrency,
        replicas=tuple(replicas),
    )


def check_required(config: Config, required: Iterable[str]) -> None:
    """Check the servers without which a runtime is not to be opened.

    Raises:
        ConfigError: one of them is not configured, or its entry cannot be used.
    """
    required, servers = tuple(required), [entry.name for entry in config.entries]
    for name in required:
        if name not in servers:
            raise ConfigError(
                f"`require` names {name!r}, which is not configured",
                server=name,
                hint=f"Configured are: {', '.join(servers) or 'none'}.",
            )
    for entry in config.entries:
        if isinstance(entry, BadEntry) and entry.name in required:
            raise entry.error


def assemble_endpoint(
    entry: Entry,
    policy: Policy,
    identity: ClientIdentity,
    handlers: Handlers,
    log: WireLog | None,
    contexts: Contexts,
    logs: ServerLogs | None = None,
    remembering: Remembering | None = None,
) -> ServerSettings:
    """Give the settings of one endpoint of a server."""
    rules = policy.for_server(entry.name)
    given = context_for(entry.name, contexts)
    way = _Way(rules, policy.folder, given, logs)
    if isinstance(entry, HttpEntry):
        warn_of_trust(entry, rules, given)
    warn_of_limits(entry, rules)
    return ServerSettings(
        name=entry.name,
        transport=_kind(entry),
        address=_address(entry),
        open_link=functools.partial(_open, entry, way, _wire(entry, log)),
        open_older=_older(entry, way, log),
        identity=identity,
        handlers=handlers,
        limits=rules.limits,
        family=None if rules.era == "auto" else rules.era,
        connect_timeout=rules.connect,
        restart=_restart_policy(rules),
        health_check_interval=rules.health_check_interval,
        read_list=functools.partial(read_list, entry.name, _kind(entry)),
        region=entry.region,
        weight=entry.weight,
        tags=entry.tags,
        ejection=rules.ejection,
        shown=show_endpoint(entry),
        clean=_cleaner(entry.secrets) if isinstance(entry, StdioEntry | HttpEntry) else sanitize_text,
        draw=_draw,
        remembered=remembering.recall(entry, policy) if remembering is not None and given is None else None,
    )


def _restart_policy(rules: ServerPolicy) -> RestartPolicy:
    return RestartPolicy(
        automatic=rules.auto_reconnect,
        most=rules.max_restarts,
        backoff=Backoff(first=rules.restart_delay, longest=rules.restart_delay_max),
        probe=rules.probe_interval,
    )


def _older(entry: Entry, way: _Way, log: WireLog | None) -> Callable[[], Awaitable[Link]] | None:
    """Give the way to a URL that turns out to be of the older HTTP transport."""
    if not (isinstance(entry, HttpEntry) and entry.kind == "http"):
        return None
    return functools.partial(_open_sse, entry, way, _wire(entry, log, "sse"))


def client_identity(given: Mapping[str, str] | None, handlers: Handlers) -> ClientIdentity:
    """Give who we say we are to servers, the application or Trunkline itself, and what we do for them."""
    from trunkline._version import __version__

    return ClientIdentity(
        info=dict(given or {"name": "trunkline", "version": __version__}),
        offers={"legacy": declare(handlers, "legacy"), "modern": declare(handlers, "modern")},
    )


async def _open(entry: Entry, way: _Way, wire: Wire | None) -> Link:
    limits = way.rules.limits
    match entry:
        case StdioEntry():
            from trunkline.transport.stdio import StdioTransport

            process = StdioTransport(
                server=entry.name,
                command=entry.command,
                args=entry.args,
                env=entry.env,
                cwd=entry.cwd,
                limits=limits,
                clean=hearing(_cleaner(entry.secrets), entry.name, way.logs),
                process=way.rules.process,
            )
            return await (process if wire is None else _tap_stream(process, wire)).open()
        case HttpEntry(kind="http"):
            await import_off_loop("trunkline.transport.http")
            from trunkline.transport.http import HttpTransport

            remote = HttpTransport(
                server=entry.name,
                url=entry.url,
                headers=entry.headers,
                limits=limits,
                egress=await way.find(entry),
                jitter=_draw,
            )
            return await (remote if wire is None else _tap_http(remote, wire, entry)).open()
        case HttpEntry(kind="ws"):
            await import_off_loop("trunkline.transport.websocket")
            from trunkline.transport.websocket import WebSocketTransport

            socket = WebSocketTransport(
                server=entry.name,
                url=entry.url,
                headers=entry.headers,
                limits=limits,
                egress=await way.find(entry),
            )
            return await (socket if wire is None else _tap_websocket(socket, wire, entry)).open()
        case HttpEntry():
            return await _open_sse(entry, way, wire)
        case PeerEntry():
            from trunkline.transport.memory import MemoryTransport, Peer

            peer = MemoryTransport(server=entry.name, peer=cast(Peer, entry.peer), limits=limits)
            return await (peer if wire is None else _tap_stream(peer, wire)).open()
        case BadEntry():
            raise entry.error


async def _open_sse(entry: HttpEntry, way: _Way, wire: Wire | None) -> Link:
    # A little before the time to connect is over, so that the reason is told and not that alone.
    due = asyncio.get_running_loop().time() + 0.9 * way.rules.connect
    await import_off_loop("trunkline.transport.sse")
    from trunkline.transport.sse import SseTransport

    remote = SseTransport(
        server=entry.name,
        url=entry.url,
        headers=entry.headers,
        limits=way.rules.limits,
        egress=await way.find(entry),
        draw=_draw,
        endpoint_due=due,
    )
    if wire is not None:
        from trunkline.config.url import origin
        from trunkline.transport.wire_http import tap_sse

        remote = tap_sse(remote, wire, entry.shown or origin(entry.url))
    return await remote.open()


def _draw() -> float:
    """Give a random number from 0 to 1."""
    return int.from_bytes(os.urandom(4)) / 2**32


def _wire(entry: Entry, log: WireLog | None, kind: str = "") -> Wire | None:
    if log is None:
        return None
    from trunkline.transport.wire import Wire

    return Wire(log, entry.name, kind or _kind(entry))


def _tap_stream(settings: Stream, wire: Wire) -> Stream:
    from trunkline.transport.wire_stream import tap_stream

    return tap_stream(settings, wire)


def _tap_http(settings: HttpTransport, wire: Wire, entry: HttpEntry) -> HttpTransport:
    from trunkline.config.url import origin
    from trunkline.transport.wire_http import tap_http

    return tap_http(settings, wire, entry.shown or origin(entry.url))


def _tap_websocket(settings: WebSocketTransport, wire: Wire, entry: HttpEntry) -> WebSocketTransport:
    from trunkline.config.url import origin
    from trunkline.transport.wire_http import tap_websocket

    return tap_websocket(settings, wire, entry.shown or origin(entry.url))


def _address(entry: Entry) -> tuple[str, int] | None:
    """Give host and port of a URL; neither ever holds a credential."""
    if not isinstance(entry, HttpEntry):
        return None
    parts = urlsplit(entry.url)
    if parts.hostname is None:
        return None
    return parts.hostname, parts.port or (443 if parts.scheme in ("https", "wss") else 80)


def _kind(entry: Entry) -> str:
    match entry:
        case StdioEntry():
            return "stdio"
        case HttpEntry():
            return "websocket" if entry.kind == "ws" else entry.kind
        case PeerEntry():
            return "memory"
        case BadEntry():
            return ""


def _cleaner(secrets: tuple[str, ...]) -> Callable[[str], str]:
    redact = Redactor(secrets).clean
    return lambda line: sanitize_text(redact(line))
