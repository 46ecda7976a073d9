"""Our servers as another program writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from trunkline.config.hosts.export_text import Flat, to_toml, to_yaml
from trunkline.config.hosts.server import ESCAPED, map_texts
from trunkline.config.inputs import InputSpec, input_member
from trunkline.config.text_edit import render

_REFERENCE = re.compile(r"\$\{[^}]*\}")
_VARIABLE = re.compile(r"\$\{(?:env:)?([A-Za-z_]\w*)(?::-([^}]*))?\}")
_FOLDERS = ("${workspaceFolder}", "${userHome}", "${cwd}")
_WHOLE = re.compile(r"\$\{(?:env:)?([A-Za-z_]\w*)(?::-)?\}")
_BEARER = re.compile(r"Bearer \$\{(?:env:)?([A-Za-z_]\w*)\}")
_TYPES = {"sse": "sse", "ws": "ws", "websocket": "ws"}


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a file, and what could not be said in it."""

    text: str
    notes: tuple[str, ...] = ()


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """One server on its way out."""

    name: str
    raw: Mapping[str, Any]


def export(servers: Iterable[Exported], inputs: Iterable[InputSpec], style: str) -> Export:
    """Write servers in the form of `style`, one of `FORMATS`."""
    notes: list[str] = []
    content = FORMATS[style]([(server.name, _canonical(server.raw)) for server in servers], notes)
    if style in ("mcp.json", "vscode") and (asked := [input_member(spec) for spec in inputs]):
        content = {**content, "inputs": asked}
    write = {"codex": to_toml, "goose": to_yaml}.get(style, lambda value: render(value) + "\n")
    return Export(text=write(content), notes=tuple(notes))


Entries = list[tuple[str, dict[str, Any]]]
_Writer = Callable[[Entries, list[str]], dict[str, Any]]


def _standard(entries: Entries, _: list[str]) -> dict[str, Any]:
    return {"mcpServers": {name: _typed(entry) for name, entry in entries}}


def _claude_desktop(entries: Entries, notes: list[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, entry in entries:
        if "url" in entry:
            notes.append(f"{name}: left out, Claude Desktop takes servers with a URL in its settings only")
        else:
            kept[name] = _unexpanded(name, entry, "Claude Desktop", notes)
    return {"mcpServers": kept}


def _cursor(entries: Entries, notes: list[str]) -> dict[str, Any]:
    return {"mcpServers": {name: _env_form(name, entry, "Cursor", notes) for name, entry in entries}}


def _vscode(entries: Entries, notes: list[str]) -> dict[str, Any]:
    servers = {
        name: {"type": _type(entry), **_env_form(name, entry, "VS Code", notes)} for name, entry in entries
    }
    return {"servers": {name: _without(entry, "disabled") for name, entry in servers.items()}}


def _windsurf(entries: Entries, notes: list[str]) -> dict[str, Any]:
    return {
        "mcpServers": {
            name: _renamed(_without(_env_form(name, entry, "Windsurf", notes), "type"), url="serverUrl")
            for name, entry in entries
        }
    }


def _gemini(entries: Entries, _: list[str]) -> dict[str, Any]:
    servers: dict[str, Any] = {}
    for name, entry in entries:
        plain = map_texts(_without(entry, "type", "disabled"), lambda text: text.replace(ESCAPED, "${"))
        servers[name] = plain if _type(entry) == "sse" else _renamed(plain, url="httpUrl")
    off = [name for name, entry in entries if entry.get("disabled")]
    return {"mcpServers": servers, **({"mcp": {"excluded": off}} if off else {})}


def _zed(entries: Entries, notes: list[str]) -> dict[str, Any]:
    servers: dict[str, Any] = {}
    for name, entry in entries:
        plain = _unexpanded(name, _without(entry, "type", "disabled"), "Zed", notes)
        servers[name] = {"source": "custom", "enabled": not entry.get("disabled"), **plain}
    return {"context_servers": servers}


def _codex(entries: Entries, notes: list[str]) -> dict[str, Any]:
    return {"mcp_servers": {name: _codex_entry(name, entry, notes) for name, entry in entries}}


def _codex_entry(name: str, entry: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    env, headers = dict(entry.get("env", {})), dict(entry.get("headers", {}))
    passed = [key for key, value in env.items() if (whole := _whole(value)) and whole[1] == key]
    bearer = next(
        (key for key, value in headers.items() if isinstance(value, str) and _BEARER.fullmatch(value)), None
    )
    token = _BEARER.fullmatch(headers.pop(bearer)) if bearer is not None else None
    named = {key: whole[1] for key, value in headers.items() if (whole := _whole(value))}
    table: dict[str, Any] = {key: entry[key] for key in ("command", "args", "cwd", "url") if key in entry}
    parts: dict[str, Any] = {
        "env_vars": passed,
        "bearer_token_env_var": token[1] if token else None,
        "env": Flat({key: value for key, value in env.items() if key not in passed}),
        "http_headers": Flat({key: value for key, value in headers.items() if key not in named}),
        "env_http_headers": Flat(named),
    }
    table |= {key: value for key, value in parts.items() if value}
    table |= {"enabled": False} if entry.get("disabled") else {}
    return _unexpanded(name, table, "Codex", notes)


def _goose(entries: Entries, notes: list[str]) -> dict[str, Any]:
    return {"extensions": {name: _goose_entry(name, entry, notes) for name, entry in entries}}


def _goose_entry(name: str, entry: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    env = dict(entry.get("env", {}))
    keys = [key for key, value in env.items() if (whole := _whole(value)) and whole[1] == key]
    head = {"name": name, "enabled": not entry.get("disabled"), "timeout": 300}
    if "url" in entry:
        kind = "sse" if _type(entry) == "sse" else "streamable_http"
        return {**head, "type": kind, "uri": entry["url"], "headers": entry.get("headers", {}), "envs": {}}
    rest = {"cmd": entry.get("command"), "args": entry.get("args", [])}
    plain = {key: value for key, value in env.items() if key not in keys}
    shown = _unexpanded(name, {**rest, "envs": plain}, "Goose", notes)
    return {**head, "type": "stdio", **shown, "env_keys": keys}


FORMATS: dict[str, _Writer] = {
    "mcp.json": _standard,
    "claude-desktop": _claude_desktop,
    "claude-code": _standard,
    "cursor": _cursor,
    "vscode": _vscode,
    "windsurf": _windsurf,
    "codex": _codex,
    "gemini": _gemini,
    "zed": _zed,
    "goose": _goose,
}
"""How each program writes servers, by name."""


def _canonical(raw: Mapping[str, Any]) -> dict[str, Any]:
    """One key for one thing: `url`, `type`, `disabled`."""
    entry = dict(raw)
    for key in ("httpUrl", "serverUrl"):
        if key in entry:
            entry.setdefault("url", entry.pop(key))
    stated = entry.pop("transport", None)
    if stated is not None:
        entry.setdefault("type", stated)
    if entry.pop("enabled", None) is False:
        entry["disabled"] = True
    return entry


def _type(entry: Mapping[str, Any]) -> str:
    return _TYPES.get(str(entry.get("type")).lower(), "http") if "url" in entry else "stdio"


def _typed(entry: dict[str, Any]) -> dict[str, Any]:
    return {"type": _type(entry), **_without(entry, "type")} if "url" in entry else entry


def _env_form(name: str, entry: dict[str, Any], title: str, notes: list[str]) -> dict[str, Any]:
    """Write variables as editors do: `${env:NAME}`, which has no default."""

    def change(match: re.Match[str]) -> str:
        variable = _VARIABLE.fullmatch(match[0])
        if match[0] in _FOLDERS or (title == "VS Code" and match[0].startswith("${input:")):
            return match[0]
        if variable is None:
            notes.append(f"{name}: {title} does not know {match[0]}; write the value there by hand")
            return match[0]
        if variable[2]:
            notes.append(f"{name}: the default of ${{{variable[1]}}} is left out; set the variable")
        return f"${{env:{variable[1]}}}"

    def change_text(text: str) -> str:
        return "${".join(_REFERENCE.sub(change, part) for part in text.split(ESCAPED))

    changed: dict[str, Any] = map_texts(entry, change_text)
    return changed


def _unexpanded(name: str, entry: dict[str, Any], title: str, notes: list[str]) -> dict[str, Any]:
    """Write texts for a program without variables: `${` as such, and a note for each variable of ours."""
    names: dict[str, None] = {}

    def change(text: str) -> str:
        parts = text.split(ESCAPED)
        names.update(dict.fromkeys(match[0] for part in parts for match in _REFERENCE.finditer(part)))
        return "${".join(parts)

    plain: dict[str, Any] = map_texts(entry, change)
    if names:
        notes.append(f"{name}: {title} does not expand {', '.join(names)}; write the values there by hand")
    return plain


def _whole(value: object) -> re.Match[str] | None:
    return _WHOLE.fullmatch(value) if isinstance(value, str) else None


def _renamed(entry: dict[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in entry.items()}


def _without(entry: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in keys}
