"""What each key of `trunkline.toml` may hold: said once, for the reader, its messages and the schema."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from trunkline.config.policy_value import (
    BYTES,
    COUNT,
    COUNT_OR_OFF,
    ERA,
    FEW,
    FEW_OR_NONE,
    FILES_OR_OFF,
    HINTS,
    INTEGER,
    MILLISECONDS,
    PART,
    PATH,
    PROXY,
    RATE_OR_NONE,
    RATE_OR_OFF,
    REPLICAS,
    SECONDS,
    SECONDS_OR_OFF,
    SECRET,
    SHARE,
    SHARING,
    SIZE_OR_OFF,
    SWITCH,
    VERSION,
    WORD_OR_NONE,
    WORDS,
    Rule,
)
from trunkline.config.reply_place import STORE
from trunkline.config.routing_value import (
    CAUSES,
    FALLBACK,
    GROUP_TOOLS,
    NEEDS,
    QUANTILE,
    REGIONS,
    STICKS_TO,
    STRATEGY,
)
from trunkline.core.batch import BatchSettings
from trunkline.core.breaker import BreakerSettings
from trunkline.core.cache_settings import CacheSettings
from trunkline.core.limit import LimitSettings
from trunkline.core.limits import Limits
from trunkline.core.pool import PoolSettings
from trunkline.core.prefetch import PrefetchSettings
from trunkline.core.process_limits import ProcessLimits
from trunkline.core.retry import RetrySettings
from trunkline.core.routing import EjectionSettings, HedgeSettings, RouteSettings
from trunkline.core.tls import TlsSettings


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A table within a table, such as `retry` of a server: its keys are written `retry.attempts`."""

    name: str
    kind: type[msgspec.Struct]
    """What its values come to."""
    rules: Mapping[str, Rule]
    """What each of its keys takes."""
    about: str
    """What it is, for the schema."""
    of_tools: tuple[str, ...] = ()
    """Those of its keys that tools may have of their own."""

    def prefixed(self, *, tools: bool = False) -> dict[str, Rule]:
        """Give its rules by the names its keys have among those of a server, or of a tool."""
        keys = self.of_tools if tools else tuple(self.rules)
        return {f"{self.name}.{key}": self.rules[key] for key in keys}


GROUPS = (
    Group(
        name="pool",
        kind=PoolSettings,
        rules={"min": FEW_OR_NONE, "max": FEW, "max_idle": SECONDS_OR_OFF},
        about="The connections to each endpoint of a server; its calls may use any of them.",
    ),
    Group(
        name="tls",
        kind=TlsSettings,
        rules={
            "ca": PATH,
            "cert": PATH,
            "key": PATH,
            "key_password": SECRET,
            "minimum": VERSION,
            "verify": SWITCH,
        },
        about="How servers with an `https://` or `wss://` URL are trusted.",
    ),
    Group(
        name="limits",
        kind=Limits,
        rules=dict.fromkeys(Limits.__struct_fields__, COUNT),
        about="The same as `limits` in `defaults`, which wins.",
    ),
    Group(
        name="process",
        kind=ProcessLimits,
        rules={
            "memory": SIZE_OR_OFF,
            "cpu_seconds": SECONDS_OR_OFF,
            "processes": COUNT_OR_OFF,
            "files": FILES_OR_OFF,
        },
        about="How much of the machine a server may take that is a process of ours, with all it starts.",
    ),
    Group(
        name="batch",
        kind=BatchSettings,
        rules={"size": FEW, "milliseconds": MILLISECONDS},
        about="How calls of a server's tools are grouped, to leave together.",
    ),
    Group(
        name="retry",
        kind=RetrySettings,
        rules={
            "attempts": FEW,
            "delay": SECONDS_OR_OFF,
            "delay_max": SECONDS_OR_OFF,
            "throttled_delay": SECONDS_OR_OFF,
            "throttled_delay_max": SECONDS_OR_OFF,
            "codes": WORDS,
            "budget": SHARE,
            "budget_per_second": RATE_OR_NONE,
        },
        about="How often, and after which waits, a call that failed is sent again where that is safe.",
        of_tools=("attempts", "delay", "delay_max", "throttled_delay", "throttled_delay_max", "codes"),
    ),
    Group(
        name="breaker",
        kind=BreakerSettings,
        rules={
            "enabled": SWITCH,
            "failure_rate": PART,
            "least_calls": COUNT,
            "window": SECONDS,
            "consecutive": COUNT_OR_OFF,
            "open_for": SECONDS,
            "jitter": SWITCH,
            "probe_timeout": SECONDS,
            "codes": WORDS,
        },
        about="When calls that keep failing are no longer made, of a server as a whole and of each tool.",
        of_tools=BreakerSettings.__struct_fields__,
    ),
    Group(
        name="limit",
        kind=LimitSettings,
        rules={
            "concurrency": COUNT_OR_OFF,
            "principal_concurrency": COUNT_OR_OFF,
            "rate": RATE_OR_OFF,
            "burst": COUNT_OR_OFF,
            "principal_rate": RATE_OR_OFF,
            "principal_burst": COUNT_OR_OFF,
            "queue": COUNT_OR_OFF,
            "queue_timeout": SECONDS_OR_OFF,
            "priority": INTEGER,
            "adaptive": SWITCH,
            "adaptive_min": COUNT,
            "adaptive_max": COUNT,
        },
        about="How many calls may run, how often they may begin, and who waits.",
        of_tools=LimitSettings.__struct_fields__,
    ),
    Group(
        name="cache",
        kind=CacheSettings,
        rules={
            "ttl": SECONDS_OR_OFF,
            "hints": HINTS,
            "stale_while_revalidate": SECONDS_OR_OFF,
            "stale_if_error": SECONDS_OR_OFF,
            "share": SHARING,
            "invalidates": WORDS,
            "max_entries": COUNT,
            "max_bytes": BYTES,
            "max_reply_bytes": BYTES,
            "store": STORE,
        },
        about="What is kept of answers that change nothing, for how long, and who gets it.",
        of_tools=(
            *("ttl", "hints", "stale_while_revalidate", "stale_if_error"),
            *("share", "invalidates", "max_reply_bytes"),
        ),
    ),
    Group(
        name="prefetch",
        kind=PrefetchSettings,
        rules={"enabled": SWITCH, "confidence": SHARE, "least": COUNT, "budget": SHARE},
        about="Which calls are made before they come, because they have followed others; needs `cache`.",
        of_tools=("enabled", "confidence", "least", "budget"),
    ),
    Group(
        name="route",
        kind=RouteSettings,
        rules={"strategy": STRATEGY, "by": STICKS_TO, "regions": REGIONS, "needs": NEEDS},
        about="Which of its replicas a call goes to.",
        of_tools=("strategy", "by", "regions", "needs"),
    ),
    Group(
        name="hedge",
        kind=HedgeSettings,
        rules={"share": SHARE, "quantile": QUANTILE},
        about="Asking a second time where a call that only reads is slow; for trusted servers.",
        of_tools=("share", "quantile"),
    ),
    Group(
        name="ejection",
        kind=EjectionSettings,
        rules={"failures": COUNT_OR_OFF, "seconds": SECONDS, "seconds_max": SECONDS, "share": SHARE},
        about="When a replica at which calls fail is left out, although it is connected.",
    ),
)
LIMITS = next(group for group in GROUPS if group.name == "limits")

SERVER_RULES = {
    "timeout": SECONDS,
    "idle": SECONDS,
    "connect": SECONDS,
    "era": ERA,
    "trust": SWITCH,
    "health_check_interval": SECONDS_OR_OFF,
    "auto_reconnect": SWITCH,
    "max_restarts": COUNT_OR_OFF,
    "restart_delay": SECONDS_OR_OFF,
    "restart_delay_max": SECONDS_OR_OFF,
    "probe_interval": SECONDS_OR_OFF,
    "remember": SWITCH,
    "lazy": SWITCH,
    "max_concurrency": COUNT_OR_OFF,
    "coalesce": SWITCH,
    "replicas": REPLICAS,
    "proxy": PROXY,
}
for _group in GROUPS:
    SERVER_RULES |= _group.prefixed()
"""Keys of `[servers."glob"]`."""
TOOL_RULES = {
    "timeout": SECONDS,
    "idle": SECONDS,
    "validate": SWITCH,
    "read_only": SWITCH,
    "idempotent": SWITCH,
    "idempotency_key": WORD_OR_NONE,
    "coalesce": SWITCH,
    "fallback": FALLBACK,
    "fallback_on": CAUSES,
}
for _group in GROUPS:
    TOOL_RULES |= _group.prefixed(tools=True)
"""Keys of `[tools."glob"]`."""
GROUP_RULES = {
    "tools": GROUP_TOOLS,
    "strategy": STRATEGY,
    "by": STICKS_TO,
    "regions": REGIONS,
    "needs": NEEDS,
}
"""Keys of `[groups.name]`."""
DEFAULT_RULES = SERVER_RULES | TOOL_RULES
"""Keys of `[defaults]`."""

OVERLAY_TABLES = ("defaults", "servers", "tools", "limits", "groups")
"""Tables of a profile."""
TABLES = (*OVERLAY_TABLES, "profiles")
"""Tables of a file."""
