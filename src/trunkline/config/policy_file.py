"""Reading `trunkline.toml`: every table, key and value checked by name before anything starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from trunkline.config.policy import Policy, Table
from trunkline.config.syntax import read_text
from trunkline.config.wording import KeyPath, describe_path, describe_type, nearest
from trunkline.core.limits import Limits
from trunkline.errors import ConfigError

MAX_SECONDS = 1_000_000_000
"""Longest span accepted, some thirty years; an endless one would break the promise that calls end."""


class _Rule(msgspec.Struct, frozen=True):
    wanted: str
    accepts: Callable[[object], bool]
    convert: Callable[[Any], Any]


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_SECONDS


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


_SECONDS = _Rule(f"a number of seconds greater than 0 and at most {MAX_SECONDS}", _is_seconds, float)
_COUNT = _Rule("a whole number greater than 0", _is_count, int)
_SWITCH = _Rule("true or false", lambda value: isinstance(value, bool), bool)
_ERA = _Rule('"auto", "legacy" or "modern"', lambda value: value in ("auto", "legacy", "modern"), str)

_LIMITS = {f"limits.{name}": _COUNT for name in Limits.__struct_fields__}
_SERVER = {
    "timeout": _SECONDS,
    "idle": _SECONDS,
    "connect": _SECONDS,
    "era": _ERA,
    "trust": _SWITCH,
    **_LIMITS,
}
_TOOL = {"timeout": _SECONDS, "idle": _SECONDS, "validate": _SWITCH}
_TABLES = ("defaults", "servers", "tools", "limits", "profiles")
_AT = re.compile(r"\(at line (\d+), column (\d+)\)\Z")


def read_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        ConfigError: it cannot be read, is not TOML, or holds an unknown table, key or value.
    """
    import tomllib

    text = read_text(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _invalid_toml(error, text, str(path)) from error
    except RecursionError as error:
        hint = "Remove the nesting; a policy needs no more than 4 levels."
        raise ConfigError("the TOML is nested too deeply", source=str(path), hint=hint) from error
    return parse_policy(content, source=str(path))


def parse_policy(content: Mapping[str, Any], *, source: str) -> Policy:
    """Check the tables of a policy.

    Raises:
        ConfigError: names the file, the path of the key, what is allowed, and the likely word.
    """
    file = _PolicyFile(source)
    for name in content:
        if name not in _TABLES:
            raise file.unknown((name,), _TABLES, what="table")
    tables = {name: file.object(content.get(name, {}), (name,)) for name in _TABLES}
    limits = {"limits": tables["limits"]} if tables["limits"] else {}
    return Policy(
        source=source,
        defaults=(
            *file.tables({"*": limits}, (), _LIMITS),
            *file.tables({"*": tables["defaults"]}, ("defaults",), _SERVER | _TOOL),
        ),
        servers=tuple(file.tables(tables["servers"], ("servers",), _SERVER)),
        tools=tuple(file.tables(tables["tools"], ("tools",), _TOOL)),
        profiles={name: file.object(table, ("profiles", name)) for name, table in tables["profiles"].items()},
    )


class _PolicyFile:
    """The errors and tables of one file; knows only its name."""

    def __init__(self, source: str) -> None:
        self._source = source

    def object(self, value: object, path: KeyPath) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise self._error(
                f"must be a table, not {describe_type(value)}", path, f"Write it as {_header(path)}."
            )
        for key in value:
            if not isinstance(key, str):
                raise self._error("every key must be a string", path, "Write the key in quotes.")
        return value

    def tables(
        self, content: Mapping[str, Any], path: KeyPath, rules: Mapping[str, _Rule]
    ) -> Iterator[Table]:
        for pattern, raw in content.items():
            where = (*path, pattern) if path in (("servers",), ("tools",)) else path
            values = dict(self._values(self.object(raw, where), where, rules))
            place = describe_path(where)
            yield Table(
                pattern=pattern, values=values, label=f"{self._source}: {place}" if place else self._source
            )

    def unknown(self, path: KeyPath, known: Iterable[str], *, what: str) -> ConfigError:
        known = sorted(known)
        similar = nearest(str(path[-1]), known, cutoff=0.6)
        hint = f"Did you mean {similar!r}?" if similar else f"Remove it, or use one of {', '.join(known)}."
        return self._error(f"unknown {what}; known are {', '.join(known)}", path, hint)

    def _values(
        self, raw: Mapping[str, Any], path: KeyPath, rules: Mapping[str, _Rule], prefix: str = ""
    ) -> Iterator[tuple[str, Any]]:
        known = [key.removeprefix(prefix) for key in rules if key.startswith(prefix)]
        heads = dict.fromkeys(key.partition(".")[0] for key in known)
        for key, value in raw.items():
            if key not in heads:
                raise self._misplaced(key, path, prefix) or self.unknown((*path, key), heads, what="key")
            rule = rules.get(prefix + key)
            if rule is None:
                yield from self._values(
                    self.object(value, (*path, key)), (*path, key), rules, f"{prefix}{key}."
                )
            elif rule.accepts(value):
                yield prefix + key, rule.convert(value)
            else:
                shown = f", not {describe_type(value)}" if isinstance(value, bool | str | list | dict) else ""
                raise self._error(
                    f"must be {rule.wanted}{shown}", (*path, key), f"Correct the value of {key}."
                )

    def _misplaced(self, key: str, path: KeyPath, prefix: str) -> ConfigError | None:
        """Recognize a key that belongs to another table."""
        home = "tools" if key in _TOOL else "servers" if key in _SERVER else None
        home = "limits" if f"limits.{key}" in _LIMITS else home
        if home is None or prefix:
            return None
        where = {"tools": '[tools."name"]', "servers": '[servers."name"]', "limits": "limits = {...}"}[home]
        return self._error("this key does not belong here", (*path, key), f"Move it to {where}.")

    def _error(self, message: str, path: KeyPath, hint: str) -> ConfigError:
        return ConfigError(message, field=describe_path(path), source=self._source, hint=hint)


def _header(path: KeyPath) -> str:
    return f"[{describe_path(path)}]" if len(path) < 3 else "{key = value}"


def _invalid_toml(error: ValueError, text: str, source: str) -> ConfigError:
    # The parser of Python 3.11 gives the position of an error nowhere but in its text.
    at = _AT.search(str(error))
    line, column = (int(at[1]), int(at[2])) if at else (text.rstrip().count("\n") + 1, None)
    reason = _AT.sub("", str(error)).strip().removesuffix("(at end of document)").strip()
    return ConfigError(
        f"invalid TOML: {reason[:1].lower()}{reason[1:]}",
        source=source,
        line=line,
        column=column,
        hint='Write key = value, strings in double quotes, and tables such as [servers."db.*"].',
    )
