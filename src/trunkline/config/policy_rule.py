"""What each key of `trunkline.toml` may hold: said once, for the reader, its messages and the schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

import msgspec

from trunkline.config.settings import Era
from trunkline.core.limits import Limits

MAX_SECONDS = 1_000_000_000
"""Longest span accepted, some thirty years; an endless one would break the promise that calls end."""


class Rule(msgspec.Struct, frozen=True):
    """What values one key takes."""

    wanted: str
    """The values in words, for messages."""
    accepts: Callable[[object], bool]
    convert: Callable[[Any], Any]
    example: str
    """A value, as in the file."""
    schema: Mapping[str, Any]
    """The same values as JSON Schema."""


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_SECONDS


def _is_count(value: object) -> bool:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return whole and not isinstance(value, bool) and value > 0  # type: ignore[operator]  # a number by now


def _is_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


_SECONDS = Rule(
    f"a number of seconds greater than 0 and at most {MAX_SECONDS}",
    _is_seconds,
    float,
    "30",
    {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SECONDS},
)
_COUNT = Rule(
    "a whole number greater than 0", _is_count, int, "100", {"type": "integer", "exclusiveMinimum": 0}
)
_SECONDS_OR_OFF = Rule(
    f"a number of seconds from 0, which is off, to {MAX_SECONDS}",
    lambda value: _is_seconds(value) or _is_zero(value),
    float,
    "30",
    {"type": "number", "minimum": 0, "maximum": MAX_SECONDS},
)
_COUNT_OR_OFF = Rule(
    "a whole number from 0, which is off",
    lambda value: _is_count(value) or _is_zero(value),
    int,
    "5",
    {"type": "integer", "minimum": 0},
)
_SWITCH = Rule("true or false", lambda value: isinstance(value, bool), bool, "true", {"type": "boolean"})
_ERA = Rule(
    '"auto", "legacy" or "modern"',
    lambda value: value in get_args(Era),
    str,
    '"auto"',
    {"enum": list(get_args(Era))},
)

LIMIT_PREFIX = "limits."
LIMIT_RULES = {f"{LIMIT_PREFIX}{name}": _COUNT for name in Limits.__struct_fields__}
SERVER_RULES = {
    "timeout": _SECONDS,
    "idle": _SECONDS,
    "connect": _SECONDS,
    "era": _ERA,
    "trust": _SWITCH,
    "health_check_interval": _SECONDS_OR_OFF,
    "auto_reconnect": _SWITCH,
    "max_restarts": _COUNT_OR_OFF,
    "restart_delay": _SECONDS_OR_OFF,
    "restart_delay_max": _SECONDS_OR_OFF,
    "probe_interval": _SECONDS_OR_OFF,
    **LIMIT_RULES,
}
"""Keys of `[servers."glob"]`."""
TOOL_RULES = {"timeout": _SECONDS, "idle": _SECONDS, "validate": _SWITCH}
"""Keys of `[tools."glob"]`."""
DEFAULT_RULES = SERVER_RULES | TOOL_RULES
"""Keys of `[defaults]`."""

OVERLAY_TABLES = ("defaults", "servers", "tools", "limits")
"""Tables of a profile."""
TABLES = (*OVERLAY_TABLES, "profiles")
"""Tables of a file."""
