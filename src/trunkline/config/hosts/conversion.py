"""What the servers of each program mean in a standard file.

Every function takes the content of a file and gives its servers; a text instead of an entry says why a server
cannot be used outside its program. Keys that only the program understands are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from trunkline.config.hosts.server import (
    HostServer,
    NoServersError,
    Setting,
    each,
    editor_variables,
    known_fields,
    literal,
    map_texts,
)

_BARE_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_GOOSE_OWN = ("builtin", "platform", "frontend", "inline_python")


def from_claude_desktop(content: Mapping[str, Any], _: Setting) -> list[HostServer]:
    """Claude Desktop expands no variables."""
    return each(content, "mcpServers", lambda raw: literal(known_fields(raw)))


def from_claude_code(content: Mapping[str, Any], setting: Setting) -> list[HostServer]:
    """The servers of the project the user is in (`local`) come first, then those of the user."""
    local = _claude_project(content, setting.folder)
    return [*local, *each(content, "mcpServers", known_fields)]


def from_cursor(content: Mapping[str, Any], setting: Setting) -> list[HostServer]:
    """Also what Windsurf writes: editor variables, `serverUrl`, `disabled`."""
    return each(content, "mcpServers", lambda raw: editor_variables(known_fields(raw), setting))


def from_vscode(content: Mapping[str, Any], setting: Setting) -> list[HostServer]:
    """An `mcp.json` of VS Code, or the `mcp` member of its older `settings.json`."""
    within = "servers" not in content and isinstance(content.get("mcp"), Mapping)
    holder: Mapping[str, Any] = content["mcp"] if within else content
    found = each(holder, "servers", lambda raw: editor_variables(known_fields(raw), setting))
    return [_beneath("mcp", server) if within else server for server in found]


def from_codex(content: Mapping[str, Any], _: Setting) -> list[HostServer]:
    """Codex expands nothing; it names variables in fields of their own."""
    return each(content, "mcp_servers", _codex)


def from_gemini(content: Mapping[str, Any], _: Setting) -> list[HostServer]:
    """`$NAME` is a variable there, and `mcp.allowed` and `mcp.excluded` switch servers off."""
    return [_gemini_switch(server, content.get("mcp")) for server in each(content, "mcpServers", _gemini)]


def from_zed(content: Mapping[str, Any], _: Setting) -> list[HostServer]:
    """The command may be an object; a server without one comes from an extension of Zed."""
    return each(content, "context_servers", _zed)


def from_goose(content: Mapping[str, Any], _: Setting) -> list[HostServer]:
    """Goose calls servers extensions; some of them are parts of itself."""
    return each(content, "extensions", _goose)


CONVERSIONS: dict[str, Callable[[Mapping[str, Any], Setting], Iterable[HostServer]]] = {
    "claude-desktop": from_claude_desktop,
    "claude-code": from_claude_code,
    "cursor": from_cursor,
    "vscode": from_vscode,
    "windsurf": from_cursor,
    "codex": from_codex,
    "gemini": from_gemini,
    "zed": from_zed,
    "goose": from_goose,
}


def _claude_project(content: Mapping[str, Any], folder: Path) -> list[HostServer]:
    projects = content.get("projects")
    if not isinstance(projects, Mapping):
        return []
    place = next((place for place in (folder, *folder.parents) if str(place) in projects), None)
    project = projects.get(str(place))
    if place is None or not isinstance(project, Mapping):
        return []
    off = project.get("disabledMcpServers")
    try:
        servers = each(project, "mcpServers", known_fields)
    except NoServersError as error:
        raise NoServersError(("projects", str(place), *error.path)) from None
    return [
        HostServer(
            name=server.name,
            raw=_switched(server.raw, off=isinstance(off, list) and server.name in off),
            path=("projects", str(place), *server.path),
            project=place,
        )
        for server in servers
    ]


def _codex(raw: Mapping[str, Any]) -> dict[str, Any]:
    entry = literal({key: raw[key] for key in ("command", "args", "cwd", "url") if key in raw})
    env = {name: f"${{{name}:-}}" for name in _codex_variables(raw.get("env_vars"))}
    env |= literal(_mapping(raw.get("env")))
    headers = {name: f"${{{variable}}}" for name, variable in _mapping(raw.get("env_http_headers")).items()}
    headers |= literal(_mapping(raw.get("http_headers")))
    if isinstance(variable := raw.get("bearer_token_env_var"), str):
        headers["Authorization"] = f"Bearer ${{{variable}}}"
    elif isinstance(token := raw.get("bearer_token"), str):
        headers["Authorization"] = literal(f"Bearer {token}")
    return _filled(entry, env=env, headers=headers, off=raw.get("enabled") is False)


def _codex_variables(listed: object) -> list[str]:
    """Names of variables to pass on; those of a remote machine are none of ours."""
    names: list[str] = []
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, str):
            names.append(item)
        elif isinstance(item, Mapping) and item.get("source", "local") == "local":
            names.append(str(item.get("name")))
    return names


def _gemini(raw: Mapping[str, Any]) -> dict[str, Any]:
    entry = known_fields(raw)
    if "httpUrl" in entry:
        entry["url"] = entry.pop("httpUrl")
    if "url" in entry and "command" in entry:
        del entry["command"]
    named: dict[str, Any] = map_texts(entry, _brace)
    return named


def _gemini_switch(server: HostServer, rules: object) -> HostServer:
    allowed, excluded = _mapping(rules).get("allowed"), _mapping(rules).get("excluded")
    off = isinstance(excluded, list) and server.name in excluded
    off = off or (isinstance(allowed, list) and bool(allowed) and server.name not in allowed)
    return HostServer(name=server.name, raw=_switched(server.raw, off=off), path=server.path)


def _zed(raw: Mapping[str, Any]) -> dict[str, Any] | str:
    entry = known_fields(raw)
    command = raw.get("command")
    if isinstance(command, Mapping):
        nested = {"command": command.get("path"), "args": command.get("args"), "env": command.get("env")}
        entry = {key: value for key, value in {**entry, **nested}.items() if value}
    if "command" not in entry and "url" not in entry:
        return "an extension of Zed provides it"
    plain: dict[str, Any] = literal(entry)
    return plain


def _goose(raw: Mapping[str, Any]) -> dict[str, Any] | str:
    inner = {**raw, **_mapping(raw.get("config"))}
    kind = inner.get("type")
    if kind in _GOOSE_OWN:
        return "it is a part of Goose"
    env = literal(_mapping(inner.get("envs")))
    env |= {str(name): f"${{{name}}}" for name in _listed(inner.get("env_keys")) if name not in env}
    off = inner.get("enabled") is False
    if "uri" in inner or kind in ("sse", "streamable_http"):
        headers = {name: _from_env(value, env) for name, value in _mapping(inner.get("headers")).items()}
        entry = {"type": "sse"} if kind == "sse" else {"type": "http"}
        return _filled({**entry, "url": literal(inner.get("uri"))}, headers=headers, off=off)
    entry = {"command": literal(inner.get("cmd")), "args": literal(_listed(inner.get("args")))}
    given: dict[str, Any] = {key: value for key, value in entry.items() if value}
    return _filled(given, env=env, off=off)


def _from_env(value: Any, env: Mapping[str, Any]) -> Any:
    """Replace the variables of a header of Goose by what the extension sets, or by ours of that name."""
    if not isinstance(value, str):
        return value
    return _BARE_VARIABLE.sub(lambda match: str(env.get(name := match[1] or match[2], f"${{{name}}}")), value)


def _brace(text: str) -> str:
    return _BARE_VARIABLE.sub(lambda match: f"${{{match[1] or match[2]}}}", text)


def _filled(
    entry: dict[str, Any],
    *,
    env: Mapping[str, Any] | None = None,
    headers: Mapping[str, Any] | None = None,
    off: bool = False,
) -> dict[str, Any]:
    parts = {"env": dict(env or {}), "headers": dict(headers or {})}
    switch = {"disabled": True} if off else {}
    return {**entry, **{key: value for key, value in parts.items() if value}, **switch}


def _switched(raw: Any, *, off: bool) -> Any:
    return {**raw, "disabled": True} if off and isinstance(raw, Mapping) else raw


def _beneath(key: str, server: HostServer) -> HostServer:
    return HostServer(name=server.name, raw=server.raw, path=(key, *server.path), skipped=server.skipped)


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _listed(value: object) -> list[Any]:
    return list(value) if isinstance(value, list) else []
