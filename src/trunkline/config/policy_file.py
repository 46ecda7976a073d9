"""Reading `trunkline.toml`: every table, key and value checked by name before anything starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from trunkline.config.policy import Policy, Table, Tables
from trunkline.config.policy_position import Places
from trunkline.config.policy_rule import (
    DEFAULT_RULES,
    GROUP_RULES,
    GROUPS,
    LIMITS,
    OVERLAY_TABLES,
    SERVER_RULES,
    TABLES,
    TOOL_RULES,
)
from trunkline.config.policy_value import Rule
from trunkline.config.syntax import read_text
from trunkline.config.wording import KeyPath, describe_path, describe_type, nearest
from trunkline.errors import ConfigError

_ORDERED = (
    ("restart_delay", "restart_delay_max"),
    ("retry.delay", "retry.delay_max"),
    ("retry.throttled_delay", "retry.throttled_delay_max"),
    ("limit.adaptive_min", "limit.adaptive_max"),
    ("ejection.seconds", "ejection.seconds_max"),
)
"""Keys of one table of which the first must not be more than the second."""
_AT = re.compile(r"\(at line (\d+), column (\d+)\)\Z")


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """A policy and everything that is wrong with it."""

    policy: Policy
    """What could be read; mistaken keys are left out."""
    mistakes: tuple[ConfigError, ...] = ()
    """In the order of the file; each names file, position, key and fix."""


def read_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        ConfigError: it cannot be read, is not TOML, or holds an unknown table, key or value.
    """
    return _sound(examine_policy_file(path))


def parse_policy(content: Mapping[str, Any], *, source: str) -> Policy:
    """Check the tables of a policy.

    Raises:
        ConfigError: the first mistake; names the source, the path of the key, what is allowed, and the
            likely word.
    """
    return _sound(examine_policy(content, source=source))


def examine_policy_file(path: Path) -> Examination:
    """Read a policy file and give all its mistakes; one that is no TOML has exactly one."""
    import tomllib

    source = str(path)
    try:
        text = read_text(path)
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        mistake = _invalid_toml(error, text, source)
        mistake.__cause__ = error
    except RecursionError as error:
        hint = "Remove the nesting; a policy needs no more than 6 levels."
        mistake = ConfigError("the TOML is nested too deeply", source=source, hint=hint)
        mistake.__cause__ = error
    except ConfigError as error:
        mistake = error
    else:
        return examine_policy(content, source=source, text=text)
    return Examination(policy=Policy(source=source), mistakes=(mistake,))


def examine_policy(content: Mapping[str, Any], *, source: str, text: str = "") -> Examination:
    """Check the tables of a policy and give all mistakes; `text` is what they were parsed from."""
    return _PolicyFile(source, Places(text)).examine(content)


def _sound(examination: Examination) -> Policy:
    if examination.mistakes:
        raise examination.mistakes[0]
    return examination.policy


class _PolicyFile:
    """The mistakes and tables of one file; knows only its name and where its keys stand."""

    def __init__(self, source: str, places: Places) -> None:
        self._source = source
        self._places = places
        self._mistakes: list[ConfigError] = []

    def examine(self, content: Mapping[str, Any]) -> Examination:
        content = self._object(content, ())
        tables = self._overlay(content, (), TABLES)
        named = self._object(content.get("profiles", {}), ("profiles",))
        profiles = {name: self._profile(name, raw) for name, raw in named.items()}
        policy = Policy(source=self._source, tables=tables, profiles=profiles, places=self._places)
        mistakes = sorted(self._mistakes, key=lambda mistake: (mistake.line or 0, mistake.column or 0))
        return Examination(policy=policy, mistakes=tuple(mistakes))

    def _profile(self, name: str, raw: object) -> Tables:
        path = ("profiles", name)
        return self._overlay(self._object(raw, path), path, OVERLAY_TABLES)

    def _overlay(self, content: Mapping[str, Any], path: KeyPath, known: tuple[str, ...]) -> Tables:
        for name in content:
            if name not in known and not self._astray(name, path):
                self._unknown((*path, name), known, what="table")
        parts = {name: self._object(content.get(name, {}), (*path, name)) for name in OVERLAY_TABLES}
        limits = {"limits": parts["limits"]} if parts["limits"] else {}
        return Tables(
            defaults=(
                self._table("*", limits, path, LIMITS.prefixed()),
                self._table("*", parts["defaults"], (*path, "defaults"), DEFAULT_RULES),
            ),
            servers=tuple(self._named(parts["servers"], (*path, "servers"), SERVER_RULES)),
            tools=tuple(self._named(parts["tools"], (*path, "tools"), TOOL_RULES)),
            groups=tuple(self._groups(parts["groups"], (*path, "groups"))),
        )

    def _named(self, content: Mapping[str, Any], path: KeyPath, rules: Mapping[str, Rule]) -> Iterator[Table]:
        for pattern, raw in content.items():
            yield self._table(pattern, raw, (*path, pattern), rules)

    def _groups(self, content: Mapping[str, Any], path: KeyPath) -> Iterator[Table]:
        for name, raw in content.items():
            table = self._table(name, raw, (*path, name), GROUP_RULES)
            if not name or "." in name:
                fix = "Call it by a word without a dot: what has one names a server and its tool."
                self._refuse("this cannot be the name of a group", table.path, fix)
            elif table.values.get("tools"):
                yield table
            elif isinstance(raw, Mapping) and not raw.get("tools"):
                fix = 'Write tools = ["a.search", "b.search"].'
                self._refuse("a group needs tools", table.path, fix)

    def _table(self, pattern: str, raw: object, path: KeyPath, rules: Mapping[str, Rule]) -> Table:
        values = dict(self._values(self._object(raw, path), path, rules))
        for least, most in _ORDERED:
            if least in values and most in values and values[least] > values[most]:
                where = (*path, *least.split("."))
                name = most.rpartition(".")[2]
                self._refuse(
                    f"must not be more than {name}, which is {values[most]:g}",
                    where,
                    f"Lower it, or raise {name}.",
                )
        return Table(pattern=pattern, values=values, path=path)

    def _object(self, value: object, path: KeyPath) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            fix = f"Write it as {_header(path)}."
            self._refuse(f"must be a table, not {describe_type(value)}", path, fix)
            return {}
        if not all(isinstance(key, str) for key in value):
            self._refuse("every key must be a string", path, "Write the key in quotes.")
        return {key: item for key, item in value.items() if isinstance(key, str)}

    def _values(
        self, raw: Mapping[str, Any], path: KeyPath, rules: Mapping[str, Rule], prefix: str = ""
    ) -> Iterator[tuple[str, Any]]:
        known = [key.removeprefix(prefix) for key in rules if key.startswith(prefix)]
        heads = dict.fromkeys(key.partition(".")[0] for key in known)
        for key, value in raw.items():
            where = (*path, key)
            if key not in heads:
                if not self._misplaced(key, path, prefix):
                    self._unknown(where, heads, what="key")
            elif (rule := rules.get(prefix + key)) is None:
                inner = f"{prefix}{key}."
                yield from self._values(
                    self._object(_members(value, inner, rules), where), where, rules, inner
                )
            elif rule.accepts(value):
                yield prefix + key, rule.convert(value)
            else:
                given = describe_type(value)
                shown = "" if given in ("a number", rule.kind) else f", not {given}"
                self._refuse(
                    f"must be {rule.wanted}{shown}", where, f"Write it as in {key} = {rule.example}."
                )

    def _misplaced(self, key: str, path: KeyPath, prefix: str) -> bool:
        """Report a key that belongs to another table of the same file or profile."""
        inner = None if prefix else next((group.name for group in GROUPS if key in group.rules), None)
        if inner is not None:
            home = f"{inner} = {{...}}"
        elif (table := _table_of(prefix + key)) is not None:
            outer = path[:2] if path[0] == "profiles" else ()
            home = f'[{describe_path((*outer, table))}."name"{"." if prefix else ""}{prefix[:-1]}]'
        else:
            return False
        self._refuse("this key does not belong here", (*path, key), f"Move it to {home}.")
        return True

    def _astray(self, key: str, path: KeyPath) -> bool:
        """Report a setting that stands where tables belong."""
        if key not in DEFAULT_RULES:
            return False
        home = describe_path((*path, "defaults"))
        self._refuse("this key does not belong here", (*path, key), f"Move it to [{home}].")
        return True

    def _unknown(self, path: KeyPath, known: Iterable[str], *, what: str) -> None:
        known = sorted(known)
        similar = nearest(str(path[-1]), known, cutoff=0.6)
        hint = f"Did you mean {similar!r}?" if similar else f"Remove it, or use one of {', '.join(known)}."
        self._refuse(f"unknown {what}; known are {', '.join(known)}", path, hint)

    def _refuse(self, message: str, path: KeyPath, hint: str) -> None:
        line, column = self._places.find(path)
        field = describe_path(path) or None
        error = ConfigError(message, field=field, source=self._source, line=line, column=column, hint=hint)
        self._mistakes.append(error)


def _members(value: object, prefix: str, rules: Mapping[str, Rule]) -> object:
    """Give a group that code wrote as an object, such as `RetrySettings`, as the table it stands for."""
    group = next((one for one in GROUPS if isinstance(value, one.kind)), None)
    if group is None:
        return value
    usual = group.kind()
    members = {key: getattr(value, key) for key in group.rules}
    return {
        key: member
        for key, member in members.items()
        if prefix + key in rules or member != getattr(usual, key)
    }


def _table_of(key: str) -> str | None:
    """Give the kind of table in which a key or a group of keys may stand."""
    homes = {"tools": TOOL_RULES, "servers": SERVER_RULES}
    return next(
        (home for home, rules in homes.items() for rule in rules if f"{rule}.".startswith(f"{key}.")), None
    )


def _header(path: KeyPath) -> str:
    within = path[2:] if path[:1] == ("profiles",) else path
    return f"[{describe_path(path)}]" if len(within) < 3 else "{key = value}"


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
