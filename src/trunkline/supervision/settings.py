"""How to connect one server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

import msgspec

from trunkline.connection.negotiation import ClientIdentity
from trunkline.core.handlers import Handlers
from trunkline.core.limits import Limits
from trunkline.core.pool import PoolSettings
from trunkline.core.routing import EjectionSettings
from trunkline.protocol.eras import Family
from trunkline.protocol.lists import Kind
from trunkline.supervision.recovery import RestartPolicy
from trunkline.supervision.remembered import Remembered
from trunkline.telemetry.escape import escape_text
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
    restart: RestartPolicy = RestartPolicy()
    health_check_interval: float = 30.0
    """Seconds within which a frozen server is noticed; 0 for no health checks."""
    read_list: Callable[[Kind, tuple[object, ...]], Generator[None, None, Any]] | None = None
    """Makes of what a list holds what is wanted of it, with pauses, in which others have their turn."""
    lazy: bool = False
    """Whether it is connected by its first use, rather than at the start."""
    pool: PoolSettings = PoolSettings()
    max_concurrency: int = 0
    """Calls that may run at a time, over all connections; 0 for any number."""
    replicas: tuple[ServerSettings, ...] = ()
    """Further endpoints of the same server."""
    region: str = ""
    weight: float = 1.0
    """This endpoint's share of the calls that may go anywhere."""
    tags: tuple[str, ...] = ()
    """What this endpoint is marked with."""
    ejection: EjectionSettings = EjectionSettings()
    """When an endpoint that fails is left out."""
    shown: str = ""
    """Where the endpoint is, as it may be shown."""
    member: str = ""
    """Which of the server's connections this is; "" where there is but one."""
    clean: Callable[[str], str] = escape_text
    """Makes a text of the server safe to show, without the secrets we know of."""
    draw: Callable[[], float] = lambda: 0.5
    """Gives a number from 0 to 1, drawn anew each time, for waits between attempts."""
    remembered: Remembered | None = None
    """What it was like in an earlier run, and what of this one is to be kept; None remembers nothing."""
