"""What `trunkline config` shows: first as a document for programs, then the same as text. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from trunkline.cli.render import align, indent_text, line
from trunkline.cli.style import Paint, Tone
from trunkline.config.checking import Problem, Report
from trunkline.config.entry import BadEntry, Entry
from trunkline.config.explanation import Explanation, write_value
from trunkline.config.loading import Config
from trunkline.config.lookup import Lookup
from trunkline.config.policy import Policy
from trunkline.config.policy_reach import may_name_a_tool

View = dict[str, Any]

_TONES: dict[str, Tone] = {
    "error": "bad",
    "warning": "busy",
    "used": "good",
    "disabled": "faint",
    "missing": "faint",
}


def servers_view(config: Config, found: Lookup) -> View:
    """Give every server with what may be shown of it, and the policy that is not default."""
    policy = config.policy
    servers = [_server(entry, found, policy) for entry in config.entries]
    servers += [_disabled(name, found) for name in config.disabled]
    return {
        "policy": {"source": policy.source, "profile": policy.profile, "profiles": list(policy.profiles)},
        "servers": servers,
        "warnings": list(config.warnings),
    }


def sources_view(found: Lookup) -> View:
    """Give every place looked at, in order of precedence."""
    return {
        "files": [
            {
                "path": file.path,
                "role": file.role,
                "exists": file.exists,
                "used": file.used,
                "error": str(file.error) if file.error else None,
                "servers": [msgspec.structs.asdict(server) for server in file.servers],
                "tables": list(file.tables),
            }
            for file in found.files
        ]
    }


def explanation_view(explanation: Explanation) -> View:
    """Give an explanation; settings in the order of its table."""
    return {
        "server": explanation.server,
        "tool": explanation.tool,
        "policy": {"source": explanation.source, "profile": explanation.profile},
        "settings": [msgspec.structs.asdict(setting) for setting in explanation.settings],
    }


def report_view(report: Report) -> View:
    """Give the outcome of a check; `ok` means that there is no error."""
    return {
        "ok": not report.errors,
        "errors": report.errors,
        "warnings": report.warnings,
        "files": list(report.sources),
        "problems": [msgspec.structs.asdict(problem) for problem in report.problems],
    }


def render_servers(view: View, paint: Paint) -> str:
    """Give one line for each server, and beneath it the policy that is not default."""
    servers = view["servers"]
    rows = [(line(server["name"]), server["kind"], _target(server), _place(server)) for server in servers]
    lines: list[str] = []
    for text, server in zip(align(rows) if rows else [], servers, strict=True):
        lines.append(_toned(text, server["kind"], paint))
        lines += _beneath(server)
    return "\n".join([*lines, _policy_line(view["policy"])])


def render_sources(view: View, paint: Paint) -> str:
    """Give one line for each file, and beneath it what it holds."""
    rows = [
        (file["role"], _state(file), line(file["path"]), ", ".join(map(line, file["tables"])))
        for file in view["files"]
    ]
    lines: list[str] = []
    for text, file in zip(align(rows), view["files"], strict=True):
        lines.append(_toned(text, _state(file), paint))
        if file["error"]:
            lines.append(indent_text(file["error"], "    "))
        own = [
            (line(server["name"]), f"line {server['line']}" if server["line"] else "", _outcome(server))
            for server in file["servers"]
        ]
        lines += [f"    {row}" for row in align(own)] if own else []
    return "\n".join(lines)


def render_report(report: Report, paint: Paint) -> str:
    """Give each problem with its fix beneath, and the sum of them."""
    files = _counted(len(report.sources), "file")
    if not report.problems:
        return f"no problems in {files}"
    lines = [part for problem in report.problems for part in _problem(problem, paint)]
    counts = f"{_counted(report.errors, 'error')} and {_counted(report.warnings, 'warning')}"
    return "\n".join([*lines, f"{counts} in {files}"])


def _server(entry: Entry, found: Lookup, policy: Policy) -> View:
    shown = dict(entry.visible())
    error = entry.error if isinstance(entry, BadEntry) else None
    kind = "error" if error else "stdio" if "command" in shown else shown.get("kind", "peer")
    settings = [item for item in policy.explain(entry.name).settings if not item.is_default]
    return {
        "name": entry.name,
        "kind": kind,
        "command": list(shown["command"]) if "command" in shown else None,
        "url": shown.get("url"),
        "cwd": shown.get("cwd"),
        "env_names": list(shown.get("env_names", ())),
        "headers": list(shown.get("headers", ())),
        "source": entry.source,
        "line": _line_of(entry.name, found),
        "error": None if error is None else {"message": str(error), "hint": error.hint},
        "policy": [msgspec.structs.asdict(setting) for setting in settings],
        "tools": list(_tool_settings(entry.name, policy)),
    }


def _disabled(name: str, found: Lookup) -> View:
    definition = found.chosen.get(name)
    source = definition.origin.source if definition else None
    empty: View = {"command": None, "url": None, "cwd": None, "env_names": [], "headers": [], "error": None}
    place = {"source": source, "line": _line_of(name, found)}
    return {"name": name, "kind": "disabled", **empty, **place, "policy": [], "tools": []}


def _line_of(name: str, found: Lookup) -> int | None:
    definition = found.chosen.get(name)
    return next(iter(definition.origin.locate(definition.path)), (None,))[0] if definition else None


def _tool_settings(server: str, policy: Policy) -> Iterator[View]:
    for table in policy.tables.tools:
        for key, value in table.values.items() if may_name_a_tool(table.pattern, server) else ():
            place = {"source": policy.source, "table": table.name, "line": policy.locate(table, key).line}
            yield {"pattern": table.pattern, "key": key, "value": value, **place}


def _target(server: Mapping[str, Any]) -> str:
    if server["command"] is not None:
        return line(shlex.join(server["command"])) or "(not shown)"
    return line(server["url"] or "")


def _place(server: Mapping[str, Any]) -> str:
    return line(f"{server['source']}:{server['line']}" if server["line"] else server["source"] or "")


def _beneath(server: Mapping[str, Any]) -> Iterator[str]:
    if server["error"]:
        yield f"    error: {line(server['error']['message'])}"
        yield f"    hint: {line(server['error']['hint'] or '')}"
    for item in server["policy"]:
        yield _setting(item)
    for item in server["tools"]:
        yield _setting(item, of=f"{line(item['pattern'])}: ")


def _setting(item: Mapping[str, Any], *, of: str = "") -> str:
    where = f"{item['source']}:{item['line']}" if item["line"] else item["source"]
    value = line(write_value(item["value"]))
    return f"    {of}{item['key']} = {value}  ({line(where)} [{line(item['table'])}])"


def _policy_line(policy: Mapping[str, Any]) -> str:
    if policy["source"] is None:
        return "policy: no trunkline.toml, all defaults"
    active = f", profile {policy['profile']}" if policy["profile"] else ""
    known = f" (profiles: {', '.join(policy['profiles'])})" if policy["profiles"] else ""
    return line(f"policy: {policy['source']}{active}{known}")


def _state(file: Mapping[str, Any]) -> str:
    if not file["exists"]:
        return "missing"
    return "error" if file["error"] else "used" if file["used"] else "not used"


def _outcome(server: Mapping[str, Any]) -> str:
    match server["state"]:
        case "overridden":
            return f"not used: {line(server['winner'])} has it first"
        case "same":
            return f"the same as in {line(server['winner'])}"
        case "repeated":
            return "not used: written above already"
        case state:
            return str(state)


def _problem(problem: Problem, paint: Paint) -> Iterator[str]:
    message, *excerpt = problem.message.splitlines()
    severity = paint(problem.severity, _TONES[problem.severity])
    key = f"{line(problem.key)}: " if problem.key else ""
    yield f"{line(problem.place)}: {severity}: {key}{line(message)}"
    yield from ([indent_text("\n".join(excerpt), "")] if excerpt else [])
    yield f"    fix: {line(problem.hint)}"


def _toned(text: str, word: str, paint: Paint) -> str:
    tone = _TONES.get(word)
    return text if tone is None else text.replace(f"  {word}", f"  {paint(word, tone)}", 1)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
