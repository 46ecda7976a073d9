"""The kinds of value that keys of `trunkline.toml` take: what is accepted, in words, and as JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

import msgspec

from trunkline.config import proxy
from trunkline.config.reference import FORMS, REFERENCE
from trunkline.config.replicas import WANTED, are_replicas, read_replicas
from trunkline.config.settings import Era
from trunkline.core.cache_settings import Hints, Sharing
from trunkline.core.process_limits import read_size, write_size
from trunkline.core.tls import Version

MAX_SECONDS = 1_000_000_000
"""Longest span accepted, some thirty years; an endless one would break the promise that calls end."""

_MOST_CONNECTIONS = 1000
"""Most connections of one endpoint."""
_MOST_MILLISECONDS = 10_000
"""Longest wait for other calls: more is no batching but standing still."""

LEAST_MEMORY = 1_000_000
"""Less memory than that no program can do with: who writes less has forgotten the unit."""
LEAST_FILES = 8
"""Fewer files than that no program can start with."""


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

    @property
    def kind(self) -> str:
        """What the example is, in the words of `describe_type`; "" for a number or a truth value."""
        return {'"': "a string", "[": "a list", "{": "an object"}.get(self.example[0], "")


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_SECONDS


def _is_count(value: object) -> bool:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return whole and not isinstance(value, bool) and value > 0  # type: ignore[operator]  # a number by now


def _bytes_of(value: object) -> int | None:
    if isinstance(value, str):
        return read_size(value)
    return int(value) if _is_count(value) else None  # type: ignore[call-overload]


def _is_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


SECONDS = Rule(
    f"a number of seconds greater than 0 and at most {MAX_SECONDS}",
    _is_seconds,
    float,
    "30",
    {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SECONDS},
)
COUNT = Rule(
    "a whole number greater than 0", _is_count, int, "100", {"type": "integer", "exclusiveMinimum": 0}
)
SECONDS_OR_OFF = Rule(
    f"a number of seconds from 0, which is off, to {MAX_SECONDS}",
    lambda value: _is_seconds(value) or _is_zero(value),
    float,
    "30",
    {"type": "number", "minimum": 0, "maximum": MAX_SECONDS},
)
COUNT_OR_OFF = Rule(
    "a whole number from 0, which is off",
    lambda value: _is_count(value) or _is_zero(value),
    int,
    "5",
    {"type": "integer", "minimum": 0},
)
SIZE_OR_OFF = Rule(
    f'a size such as "512 MB" or "1 GiB", at least {write_size(LEAST_MEMORY)}, or 0, which is off',
    lambda value: _is_zero(value) or (_bytes_of(value) or 0) >= LEAST_MEMORY,
    lambda value: _bytes_of(value) or 0,
    '"512 MB"',
    {
        "anyOf": [
            {"const": 0},
            {"type": "integer", "minimum": LEAST_MEMORY},
            {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*([KkMmGgTt][Ii]?)?[Bb]\s*$"},
        ]
    },
)
BYTES = Rule(
    'a size such as "64 MiB", or a whole number of bytes greater than 0',
    lambda value: bool(_bytes_of(value)),
    _bytes_of,
    '"64 MiB"',
    {
        "anyOf": [
            {"type": "integer", "exclusiveMinimum": 0},
            {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*([KkMmGgTt][Ii]?)?[Bb]\s*$"},
        ]
    },
)
HINTS = Rule(
    '"shorten", "follow" or "ignore"',
    lambda value: value in get_args(Hints),
    str,
    '"follow"',
    {"enum": list(get_args(Hints))},
)
SHARING = Rule(
    '"never", "public" or "always"',
    lambda value: value in get_args(Sharing),
    str,
    '"public"',
    {"enum": list(get_args(Sharing))},
)
FILES_OR_OFF = Rule(
    f"a whole number of at least {LEAST_FILES}, or 0, which is off",
    lambda value: _is_zero(value) or (_is_count(value) and int(value) >= LEAST_FILES),  # type: ignore[call-overload]
    int,
    "256",
    {"anyOf": [{"const": 0}, {"type": "integer", "minimum": LEAST_FILES}]},
)
FEW_OR_NONE = Rule(
    "a whole number from 0 to 1000",
    lambda value: (_is_count(value) or _is_zero(value)) and value <= _MOST_CONNECTIONS,  # type: ignore[operator]
    int,
    "1",
    {"type": "integer", "minimum": 0, "maximum": _MOST_CONNECTIONS},
)
FEW = Rule(
    "a whole number from 1 to 1000",
    lambda value: _is_count(value) and value <= _MOST_CONNECTIONS,  # type: ignore[operator]
    int,
    "4",
    {"type": "integer", "minimum": 1, "maximum": _MOST_CONNECTIONS},
)
SWITCH = Rule("true or false", lambda value: isinstance(value, bool), bool, "true", {"type": "boolean"})
ERA = Rule(
    '"auto", "legacy" or "modern"',
    lambda value: value in get_args(Era),
    str,
    '"auto"',
    {"enum": list(get_args(Era))},
)

PROXY = Rule(
    proxy.WANTED,
    proxy.is_proxy,
    lambda value: value or proxy.NONE,
    '"http://proxy.example:3128"',
    {
        "anyOf": [
            {"const": False},
            {"type": "string", "pattern": r"^($|environment$|none$|[Hh][Tt]{2}[Pp][Ss]?://.|\$\{)"},
        ]
    },
)
PATH = Rule(
    "a path",
    lambda value: isinstance(value, str) and "\0" not in value,
    str,
    '"corporate-ca.pem"',
    {"type": "string"},
)
SECRET = Rule(
    f"a reference ({FORMS}), never the secret itself",
    lambda value: isinstance(value, str) and (not value or REFERENCE.fullmatch(value) is not None),
    str,
    '"${KEY_PASSWORD}"',
    {"type": "string", "pattern": r"^(\$\{((env:)?[A-Za-z_][A-Za-z0-9_]*|file:[^${}]+)\})?$"},
)
VERSION = Rule(
    '"1.2" or "1.3"',
    lambda value: value in get_args(Version),
    str,
    '"1.3"',
    {"enum": list(get_args(Version))},
)

_ENDPOINT = {"type": "string", "pattern": r"^([Hh][Tt]{2}[Pp][Ss]?://.|[Ww][Ss]{1,2}://.|\$\{)"}
REPLICAS = Rule(
    WANTED,
    are_replicas,
    read_replicas,
    '["https://eu.example/mcp", { url = "https://us.example/mcp", weight = 2 }]',
    {
        "type": "array",
        "items": {
            "anyOf": [
                _ENDPOINT,
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["url"],
                    "properties": {
                        "url": _ENDPOINT,
                        "region": {"type": "string"},
                        "weight": {"type": "number", "exclusiveMinimum": 0},
                        "tags": {"type": "array", "items": {"type": "string", "pattern": r"\S"}},
                    },
                },
            ]
        },
    },
)
MILLISECONDS = Rule(
    f"a number of milliseconds from 0, which is off, to {_MOST_MILLISECONDS}",
    lambda value: _is_zero(value) or (_is_seconds(value) and value <= _MOST_MILLISECONDS),  # type: ignore[operator]
    float,
    "5",
    {"type": "number", "minimum": 0, "maximum": _MOST_MILLISECONDS},
)
SHARE = Rule(
    "a number from 0, which is none, to 1",
    lambda value: _is_zero(value) or (_is_seconds(value) and value <= 1),  # type: ignore[operator]
    float,
    "0.2",
    {"type": "number", "minimum": 0, "maximum": 1},
)
RATE_OR_NONE = Rule(
    "a number a second, from 0, which is none",
    lambda value: _is_zero(value) or _is_seconds(value),
    float,
    "10",
    {"type": "number", "minimum": 0, "maximum": MAX_SECONDS},
)
PART = Rule(
    "a number above 0 and at most 1",
    lambda value: _is_seconds(value) and value <= 1,  # type: ignore[operator]
    float,
    "0.8",
    {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
)
RATE_OR_OFF = Rule(
    "a number a second, or 0, which is off",
    lambda value: _is_zero(value) or _is_seconds(value),
    float,
    "10",
    {"type": "number", "minimum": 0, "maximum": MAX_SECONDS},
)
INTEGER = Rule(
    "a whole number",
    lambda value: (
        _is_zero(value) or _is_count(value) or (isinstance(value, int | float) and _is_count(-value))
    ),
    int,
    "10",
    {"type": "integer"},
)
WORDS = Rule(
    "a list of words",
    lambda value: isinstance(value, list | tuple) and all(isinstance(one, str) and one for one in value),
    tuple,
    '["server_error"]',
    {"type": "array", "items": {"type": "string", "minLength": 1}},
)
WORD_OR_NONE = Rule(
    'a word, or "", which is none',
    lambda value: isinstance(value, str) and "\0" not in value,
    str,
    '"idempotency_key"',
    {"type": "string"},
)
