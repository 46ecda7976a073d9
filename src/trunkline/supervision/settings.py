"""How to connect one server, and what it listed last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from trunkline.connection.negotiation import ClientIdentity
from trunkline.core.handlers import Handlers
from trunkline.core.limits import Limits
from trunkline.protocol.eras import Family
from trunkline.transport.link import Link


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to connect one server."""

    name: str
    transport: str
    """`stdio`, `http`, `sse`, `websocket` or `memory`; what is shown while there is no connection."""
    open_link: Callable[[], Awaitable[Link]]
    open_older: Callable[[], Awaitable[Link]] | None = None
    """The older transport to try where `open_link` meets what is no server of the newer one."""
    address: tuple[str, int] | None = None
    """Host and port, where it is reached over a network."""
    identity: ClientIdentity
    handlers: Handlers = Handlers()
    limits: Limits = Limits()
    family: Family | None = None
    """The only protocol family to try, or None to find out."""
    connect_timeout: float = 30.0
    """Seconds from start to a listed catalog."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What a server listed last; kept when the server is lost."""

    tools: tuple[Any, ...] = ()
    """Tool definitions as received."""
    warnings: tuple[str, ...] = ()
    instructions: str | None = None
