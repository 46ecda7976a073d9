"""All that is wrong with one entry, where resolving it stops at the first mistake.

Resolve, note the mistake, put something harmless in its place, and resolve again: so every mistake is
exactly the one that `load` would give once those before it are mended.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.config.definition import define, is_disabled
from trunkline.config.entry import HttpEntry, PeerEntry, StdioEntry
from trunkline.config.entry_error import EntryError
from trunkline.config.expansion import Scope
from trunkline.config.fields import check_name
from trunkline.config.wording import KeyPath

_URL_KEYS = ("url", "httpUrl", "serverUrl")
_MOST = 200
"""Mistakes told of one entry."""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What one entry comes to."""

    mistakes: tuple[EntryError, ...] = ()
    entry: StdioEntry | HttpEntry | PeerEntry | None = None
    """The entry without its mistakes; None when nothing usable is left, or it is switched off."""


def diagnose(name: str, raw: object, *, scope: Scope, source: str) -> Diagnosis:
    """Find every mistake of one entry; one that is switched off is not resolved."""
    mistakes: list[EntryError] = []
    try:
        check_name(name)
    except EntryError as mistake:
        mistakes.append(mistake)
    raw = copy.deepcopy(raw) if isinstance(raw, Mapping) else raw
    while len(mistakes) < _MOST:
        try:
            if is_disabled(raw):
                return Diagnosis(mistakes=tuple(mistakes))
            return Diagnosis(mistakes=tuple(mistakes), entry=define(name, raw, scope=scope, source=source))
        except EntryError as mistake:
            mistakes.append(mistake)
            if not isinstance(raw, dict) or not _mend(raw, mistake.path):
                break
    return Diagnosis(mistakes=tuple(mistakes))


def _mend(raw: dict[Any, Any], path: KeyPath) -> bool:
    """Put something harmless where a mistake was; False when there is nothing to mend."""
    if not path:
        return _choose_target(raw)
    if path[0] in _URL_KEYS:
        for key in (*_URL_KEYS, "type", "transport"):
            raw.pop(key, None)
        raw["url"] = "https://example.com"
        return True
    if path == ("command",):
        raw["command"] = "true"
        return True
    holder: Any = raw
    for part in path[:-1]:
        holder = holder[part] if _holds(holder, part) else None
    if isinstance(holder, list) and _holds(holder, path[-1]):
        holder[int(path[-1])] = "x"
        return True
    if not _holds(holder, path[-1]):
        return path[0] in raw and raw.pop(path[0], None) is not None
    del holder[path[-1]]
    return True


def _choose_target(raw: dict[Any, Any]) -> bool:
    """Let an entry with both a command and a URL, or neither, be one with a command."""
    has_url = any(raw.get(key) is not None for key in _URL_KEYS)
    if raw.get("command") is not None and not has_url:
        return False
    for key in (*_URL_KEYS, "type", "transport"):
        raw.pop(key, None)
    if not has_url:
        raw["command"] = "true"
    return True


def _holds(holder: object, part: str | int) -> bool:
    match holder:
        case dict():
            return part in holder
        case list():
            return isinstance(part, int) and part < len(holder)
        case _:
            return False
