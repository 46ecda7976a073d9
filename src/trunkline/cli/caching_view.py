"""What `trunkline cache show` shows: first as a document for programs, then the same as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from trunkline.cli.render import align, line, render_short_span
from trunkline.cli.style import Paint
from trunkline.store.files import FileStore
from trunkline.store.record import BrokenRecordError, Lists, NewerRecordError, Way, decode

_UNITS = ("B", "KB", "MB", "GB")
_KINDS = ("tools", "resources", "templates", "prompts")


class KeptEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One memory of the store."""

    key: str
    size: int
    confirmed: float
    record: Way | Lists | None = None
    state: Literal["good", "newer", "broken"] = "good"

    @property
    def server(self) -> str | None:
        """What the server was called in the configuration."""
        return None if self.record is None else self.record.server


def read_entries(store: FileStore) -> list[KeptEntry]:
    """Read every memory, those confirmed last first.

    Raises:
        OSError: the folder cannot be read.
    """
    return [_read(store, kept.key, kept.size, kept.confirmed) for kept in store.kept()]


def cache_view(store: FileStore, now: float, *, problem: str | None, enabled: bool) -> dict[str, Any]:
    """Give where memories are, how large they are, and of which servers they are.

    Args:
        now: seconds since the epoch.
    """
    try:
        entries = read_entries(store)
    except OSError as error:
        entries, problem = [], problem or str(error)
    return {
        "path": str(store.folder),
        "enabled": enabled,
        "bytes": sum(entry.size for entry in entries),
        "max_bytes": store.bounds.total_bytes,
        "entries": _rows(entries, now),
        "problem": problem,
    }


def render_cache(view: dict[str, Any], paint: Paint) -> str:
    """Give the folder and its size, and a line for each server and set of credentials."""
    size = f"{_size(view['bytes'])} of at most {_size(view['max_bytes'])}"
    lines = [f"{line(view['path'])}: {size}"]
    if not view["enabled"]:
        lines.append("switched off by TRUNKLINE_NO_CACHE")
    if view["problem"]:
        lines.append(f"{paint('warning:', 'busy')} {line(view['problem'])}")
    if (answers := view.get("answers")) and answers["entries"]:
        count = f"{answers['entries']} {'answer' if answers['entries'] == 1 else 'answers'}"
        lines.append(f"{line(answers['path'])}: {count}, {_size(answers['bytes'])}")
    if view["entries"]:
        header = ("SERVER", "ERA", "TOOLS", "RESOURCES", "PROMPTS", "SIZE", "CONFIRMED")
        head, *body = align([header, *map(_cells, view["entries"])])
        lines += [paint(head, "strong"), *body]
    return "\n".join(lines)


def _read(store: FileStore, key: str, size: int, confirmed: float) -> KeptEntry:
    entry = KeptEntry(key=key, size=size, confirmed=confirmed, state="broken")
    try:
        data = store.get(key) or b""
        record: Way | Lists = decode(data, Lists) if "." in key else decode(data, Way)
    except NewerRecordError:
        return msgspec.structs.replace(entry, state="newer")
    except (BrokenRecordError, OSError):
        return entry
    return msgspec.structs.replace(entry, state="good", record=record)


def _rows(entries: Sequence[KeptEntry], now: float) -> list[dict[str, Any]]:
    """Join how a server was reached with each of its lists."""
    ways = {entry.key: entry for entry in entries if "." not in entry.key}
    lists = [entry for entry in entries if "." in entry.key]
    owners = {entry.key.partition(".")[0] for entry in lists}
    pairs = [(ways.get(entry.key.partition(".")[0]), entry) for entry in lists]
    pairs += [(entry, entry) for key, entry in ways.items() if key not in owners]
    return [_row(way, entry, now) for way, entry in pairs]


def _row(way: KeptEntry | None, entry: KeptEntry, now: float) -> dict[str, Any]:
    reached = way.record if way is not None and isinstance(way.record, Way) else None
    listed = entry.record if isinstance(entry.record, Lists) else None
    counts = {kind: len(listed.lists[kind]) if listed and kind in listed.lists else None for kind in _KINDS}
    return {
        "server": entry.server,
        "state": entry.state,
        "era": reached.revision if reached else None,
        "transport": reached.transport if reached else None,
        "capabilities": _names(listed),
        **counts,
        "bytes": entry.size + (way.size if way is not None and way is not entry else 0),
        "age_s": max(0.0, round(now - entry.confirmed, 1)),
    }


def _names(listed: Lists | None) -> list[str]:
    try:
        found = msgspec.json.decode(listed.capabilities) if listed else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return sorted(found) if isinstance(found, dict) else []


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    name = line(row["server"] or f"({row['state']})")
    counts = ("-" if row[kind] is None else str(row[kind]) for kind in ("tools", "resources", "prompts"))
    age = f"{render_short_span(row['age_s'])} ago"
    return (name, line(row["era"] or "-"), *counts, _size(row["bytes"]), age)


def _size(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
