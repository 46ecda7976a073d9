"""What policy decides for one server and for one tool, after every table has been applied."""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.config.replicas import ReplicaPolicy
from trunkline.core.batch import BatchSettings
from trunkline.core.breaker import BreakerSettings
from trunkline.core.cache_settings import CacheSettings
from trunkline.core.fallback import Alternative, Cause
from trunkline.core.limit import LimitSettings
from trunkline.core.limits import Limits
from trunkline.core.pool import PoolSettings
from trunkline.core.prefetch import PrefetchSettings
from trunkline.core.process_limits import ProcessLimits
from trunkline.core.retry import RetrySettings
from trunkline.core.routing import EjectionSettings, HedgeSettings, RouteSettings
from trunkline.core.tls import TlsSettings

Era = Literal["auto", "legacy", "modern"]


class ServerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How one server is treated."""

    timeout: float = 600.0
    """Total time of a call, in seconds. Ten minutes lets builds finish and still ends."""
    idle: float = 60.0
    """Longest silence within a call, in seconds; progress starts it anew."""
    connect: float = 30.0
    """Time to start and negotiate, in seconds. Includes the first download by a package runner."""
    era: Era = "auto"
    """Protocol family: `legacy` shakes hands, `modern` is stateless, `auto` finds out by itself."""
    trust: bool = False
    """Whether the server's annotations may relax policy. Off, because any server may claim anything."""
    health_check_interval: float = 30.0
    """Seconds within which a server that no longer answers is noticed; 0 for no health checks."""
    auto_reconnect: bool = True
    """Whether a server that is lost or cannot be reached is tried again although nobody calls it."""
    max_restarts: int = 5
    """Restarts in 30 s after which a server has failed and is tried rarely; 0 for any number."""
    restart_delay: float = 2.0
    """Longest wait before the first attempt nobody asks for, in seconds; it doubles with each failure."""
    restart_delay_max: float = 30.0
    """Longest such wait, in seconds. The wait is a random part of it, and no call waits for it."""
    probe_interval: float = 60.0
    """Longest wait between attempts at a server that has failed, in seconds; 0 for none."""
    remember: bool = True
    """Whether its era and lists are kept for the next start, where the runtime keeps any at all."""
    lazy: bool = False
    """Whether the server is connected by its first use, rather than at the start."""
    max_concurrency: int = 0
    """Calls that may run on the server at a time; others wait in order. 0 for any number."""
    replicas: tuple[ReplicaPolicy, ...] = ()
    """Further endpoints of the same server; calls go to one that is healthy."""
    proxy: str = "environment"
    """Proxy to reach the server's URL through: as the environment says, none, or this one."""
    tls: TlsSettings = TlsSettings()
    """How the server is trusted, and how we show who we are."""
    pool: PoolSettings = PoolSettings()
    """How many connections each endpoint may have."""
    batch: BatchSettings = BatchSettings()
    """How calls of its tools are grouped, to leave together."""
    limits: Limits = Limits()
    """How much the server may send."""
    process: ProcessLimits = ProcessLimits()
    """How much of the machine the server may take, where it is a process of ours."""
    retry: RetrySettings = RetrySettings()
    """When a call that failed is sent again; each tool may have its own."""
    breaker: BreakerSettings = BreakerSettings()
    """When calls that keep failing are no longer made; each tool has one of its own besides."""
    limit: LimitSettings = LimitSettings()
    """How many of its calls may run and how often they may begin; each tool may have its own besides."""
    cache: CacheSettings = CacheSettings()
    """What is kept of its answers; each tool may have its own."""
    prefetch: PrefetchSettings = PrefetchSettings()
    """Whether answers of calls that are likely to come are fetched before; each tool may have its own."""
    coalesce: bool = False
    """Whether identical calls in flight that change nothing share one request."""
    route: RouteSettings = RouteSettings()
    """Which replica a call goes to; each tool may have its own."""
    hedge: HedgeSettings = HedgeSettings()
    """Second requests where a call that only reads is slow; each tool may have its own."""
    ejection: EjectionSettings = EjectionSettings()
    """When a replica at which calls fail is left out."""


class ToolPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How calls of one tool are treated."""

    timeout: float = 600.0
    """Total time of a call, in seconds; the server's unless the tool has its own."""
    idle: float = 60.0
    """Longest silence within a call, in seconds; the server's unless the tool has its own."""
    validate: bool = True
    """Whether arguments are checked against the input schema before anything is sent."""
    read_only: bool = False
    """Whether the tool is known to change nothing, whatever its server says of it."""
    idempotent: bool = False
    """Whether calling the tool twice is known to do no more than calling it once."""
    idempotency_key: str = ""
    """Argument that takes a key, the same for all tries of a call; such a tool counts as idempotent."""
    retry: RetrySettings = RetrySettings()
    """When a call that failed is sent again; the server's unless the tool has its own."""
    breaker: BreakerSettings = BreakerSettings()
    """When its calls, if they keep failing, are no longer made; as the server's unless written here."""
    limit: LimitSettings = LimitSettings()
    """How many of its calls may run and how often they may begin, within what its server allows."""
    cache: CacheSettings = CacheSettings()
    """What is kept of its answers; the server's unless the tool has its own."""
    prefetch: PrefetchSettings = PrefetchSettings()
    """Whether calls that are likely to follow are made before; the server's unless the tool has its own."""
    coalesce: bool = False
    """Whether identical calls in flight share one request, if the tool changes nothing."""
    route: RouteSettings = RouteSettings()
    """Which replica a call goes to; the server's unless the tool has its own."""
    hedge: HedgeSettings = HedgeSettings()
    """Second requests where a call is slow; the server's unless the tool has its own."""
    fallback: tuple[Alternative, ...] = ()
    """What is tried, in this order, where a call fails: other tools, or a value."""
    fallback_on: tuple[Cause, ...] = ()
    """What that is for, beside failures of servers and links."""
