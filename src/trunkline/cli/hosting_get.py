"""`trunkline get`: one server as it is written, where it comes from, and how it is treated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK
from trunkline.cli.options import (
    ConfigOption,
    JsonOption,
    Settings,
    TimeoutOption,
    VerboseOption,
    settings_of,
)
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.config.loading import Config
    from trunkline.config.source import Definition


def get_command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The server.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Show one server: its entry, its origin and the policy in force.

    Secrets are masked, and nothing is started.
    """
    settings = settings_of(ctx, config=config, as_json=as_json, timeout=timeout, verbose=verbose)
    return session.guarded(settings, lambda terminal: _get(name, settings, terminal))


def _get(name: str, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.hosting import no_such_server, read_definitions

    definitions = read_definitions(settings)
    found = [definition for key, definition in definitions if key == name]
    if not found:
        raise no_such_server(name, list(dict.fromkeys(key for key, _ in definitions)))
    document = describe(name, found, session.read_config(settings.config, settings.profile))
    if settings.as_json:
        terminal.print_document({"ok": True, "server": document})
    else:
        terminal.print_text(_render(document, terminal))
    return OK


def describe(name: str, found: list[Definition], config: Config) -> dict[str, Any]:
    """Give everything about one server that may be shown; the first definition is the one in use."""
    from trunkline.cli.hosting import place_of
    from trunkline.config.entry import BadEntry
    from trunkline.config.hosts.plan import kind_of

    first = found[0]
    error = next(
        (entry.error for entry in config.entries if entry.name == name and isinstance(entry, BadEntry)), None
    )
    return {
        "name": name,
        "type": kind_of(first.raw),
        "scope": first.origin.scope,
        "program": first.origin.program or None,
        "file": place_of(first),
        "not_used": [place_of(other) for other in found[1:]],
        "enabled": name not in config.disabled,
        "error": None if error is None else str(error),
        "hint": None if error is None else error.hint,
        "entry": masked_entry(first.raw),
        "policy": {
            setting.key: {"value": setting.value, "source": setting.where}
            for setting in config.policy.explain(name).settings
        },
    }


def masked_entry(raw: Any) -> Any:
    """Give an entry as written, with `***` for every value of `env` and `headers` and every credential."""
    from trunkline.cli.hosting import masked
    from trunkline.config.expansion import Expanded
    from trunkline.config.secret import conceal, conceal_arguments

    if not isinstance(raw, Mapping):
        return None
    entry = dict(raw)
    for key in ("env", "headers"):
        if isinstance(pairs := raw.get(key), Mapping):
            entry[key] = {word: masked(value) for word, value in pairs.items()}
    if isinstance(args := raw.get("args"), list):
        words = [str(word) for word in args]
        shown, _ = conceal_arguments(
            [Expanded(value=word, shown=word, secrets=("",) if "${" in word else ()) for word in words]
        )
        entry["args"] = list(shown)
    for key in ("url", "httpUrl", "serverUrl", "command"):
        if isinstance(text := raw.get(key), str):
            entry[key] = conceal(text)[0]
    return entry


def _render(document: Mapping[str, Any], terminal: Terminal) -> str:
    from trunkline.cli.render import align, line
    from trunkline.config.hosts.program import PROGRAMS

    program = document["program"]
    origin = f"linked from {PROGRAMS[program].title}" if program else document["scope"]
    rows = [("type", document["type"]), ("scope", origin), ("file", document["file"])]
    rows += [("not used", place) for place in document["not_used"]]
    rows += [("enabled", "no: it is switched off in its file")] if not document["enabled"] else []
    rows += [("error", document["error"])] if document["error"] else []
    rows += [("hint", document["hint"])] if document["hint"] else []
    rows += _entry_rows(document["entry"])
    policy = [
        (key, f"{item['value']}", f"({item['source']})")
        for key, item in document["policy"].items()
        if not key.startswith("limits.") or item["source"] != "default"
    ]
    lines = [terminal.paint(line(document["name"]), "strong")]
    lines += [f"  {row}" for row in align([(key, line(str(value))) for key, value in rows])]
    lines += ["", "Policy:", *(f"  {row}" for row in align([tuple(map(line, row)) for row in policy]))]
    return "\n".join(lines)


def _entry_rows(entry: Any) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in (entry or {}).items():
        if key in ("type", "disabled", "enabled"):
            continue
        if key in ("env", "headers") and isinstance(value, Mapping):
            mark = "=" if key == "env" else ": "
            rows += [(key, f"{name}{mark}{shown}") for name, shown in value.items()]
        elif key == "args" and isinstance(value, list):
            rows.append((key, " ".join(_quoted(word) for word in value)))
        else:
            rows.append((key, value if isinstance(value, str) else "..."))
    return rows


def _quoted(word: str) -> str:
    import shlex

    return word if word == "***" or "${" in word else shlex.quote(word)
