"""Servers in the text of a standard file: added, removed, looked up. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.config.source import MAP_KEYS
from trunkline.config.syntax import parse_json, strip_comments
from trunkline.config.text_edit import add_member, remove_member, render, replace_value
from trunkline.config.wording import describe_type
from trunkline.errors import ConfigError


def add_server(text: str, name: str, entry: Mapping[str, Any], *, source: str) -> str:
    """Give the text with one more server; an empty text becomes a whole file.

    Raises:
        ConfigError: the name is taken, or the text is not that of a file with named servers.
    """
    if not strip_comments(text, source=source).strip():
        comments = f"{text.rstrip()}\n" if text.strip() else ""
        return f"{comments}{render({'mcpServers': {name: dict(entry)}})}\n"
    content = _object(text, source)
    if name in names_in(text, source=source):
        raise ConfigError(
            "there is a server of this name already",
            server=name,
            source=source,
            hint="Remove it first, or use another name.",
        )
    keys = [key for key in MAP_KEYS if key in content]
    if keys and content[keys[0]] is None:
        return replace_value(text, (keys[0],), {name: dict(entry)}, source=source)
    if keys:
        return add_member(text, (keys[0],), name, dict(entry), source=source)
    if _is_bare_map(content):
        return add_member(text, (), name, dict(entry), source=source)
    return add_member(text, (), "mcpServers", {name: dict(entry)}, source=source)


def remove_server(text: str, name: str, *, source: str) -> str:
    """Give the text without a server, wherever in it that stands.

    Raises:
        ConfigError: it is not there, or cannot be removed safely.
    """
    content, changed = _object(text, source), text
    for path in _maps(content):
        holder = content[path[0]] if path else content
        if name in holder:
            changed = remove_member(changed, path, name, source=source)
    if changed == text:
        raise ConfigError("there is no server of this name", server=name, source=source)
    return changed


def add_input(text: str, raw: Mapping[str, Any], *, source: str) -> str:
    """Give the text with one more definition under `inputs`, unless its id is there already."""
    content = _object(text, source)
    listed = content.get("inputs")
    if listed is None:
        return add_member(text, (), "inputs", [dict(raw)], source=source)
    if any(isinstance(known, Mapping) and known.get("id") == raw.get("id") for known in listed):
        return text
    return add_member(text, ("inputs",), None, dict(raw), source=source)


def names_in(text: str, *, source: str) -> tuple[str, ...]:
    """Give the names of the servers in a text.

    Raises:
        ConfigError: the text is not that of a server file.
    """
    if not strip_comments(text, source=source).strip():
        return ()
    content = _object(text, source)
    return tuple(name for path in _maps(content) for name in (content[path[0]] if path else content))


def _object(text: str, source: str) -> dict[str, Any]:
    content = parse_json(text, source=source)
    if not isinstance(content, dict):
        raise ConfigError(
            f"the file must hold an object, not {describe_type(content)}",
            source=source,
            hint='Write {"mcpServers": {...}}.',
        )
    if any(isinstance(content.get(key), str) for key in ("command", "url")):
        hint = "Move the entry under a name: " + '{"mcpServers": {"name": {...}}}.'
        raise ConfigError("the file holds a single entry without a name", source=source, hint=hint)
    return content


def _maps(content: Mapping[str, Any]) -> list[tuple[str, ...]]:
    keys = [key for key in MAP_KEYS if isinstance(content.get(key), Mapping)]
    if keys:
        return [(key,) for key in keys]
    return [()] if _is_bare_map(content) else []


def _is_bare_map(content: Mapping[str, Any]) -> bool:
    """Whether the file itself is the map of servers."""
    return not any(key in content for key in MAP_KEYS) and any(
        isinstance(raw, Mapping) and ("command" in raw or "url" in raw) for raw in content.values()
    )
