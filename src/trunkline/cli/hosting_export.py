"""`trunkline export`: our servers in the form another program reads, on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK, UsageError
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
    from trunkline.config.source import Definition


def export_command(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]", help="Only these servers; repeatable.")
    ] = None,
    style: Annotated[
        str,
        typer.Option("-f", "--format", metavar="FORMAT", help="mcp.json, or a program's: vscode, codex, ..."),
    ] = "mcp.json",
    secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Write credentials as they are, not as ${VARIABLE}.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Print servers in the form of a program's file."""
    settings = settings_of(ctx, config=config, as_json=as_json, timeout=timeout, verbose=verbose)
    return session.guarded(
        settings, lambda terminal: _export(names or [], style, secrets, settings, terminal)
    )


def _export(names: list[str], style: str, secrets: bool, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.render import line
    from trunkline.config.hosts.export import FORMATS, export
    from trunkline.config.inputs import inputs_used

    if style not in FORMATS:
        raise UsageError(f"there is no format {style!r}; formats are {', '.join(FORMATS)}")
    chosen = _choose(names, settings)
    servers, notes = _prepare(chosen, secrets=secrets)
    inputs = {spec.id: spec for one in chosen.values() for spec in inputs_used(one.raw, one.inputs)}
    made = export(servers, inputs.values(), style)
    notes += made.notes
    if settings.as_json:
        document = {"ok": True, "format": style, "servers": list(chosen), "text": made.text, "notes": notes}
        terminal.print_document(document)
        return OK
    terminal.print_text(made.text.rstrip("\n"))
    for note in notes:
        terminal.warn(line(note))
    return OK


def _choose(names: list[str], settings: Settings) -> dict[str, Definition]:
    from trunkline.cli.hosting import no_such_server, read_definitions

    found: dict[str, Definition] = {}
    for name, definition in read_definitions(settings):
        found.setdefault(name, definition)
    for name in names:
        if name not in found:
            raise no_such_server(name, list(found))
    return {name: found[name] for name in names} if names else found


def _prepare(chosen: dict[str, Definition], *, secrets: bool) -> tuple[list[Any], list[str]]:
    from collections.abc import Mapping

    from trunkline.config.hosts.export import Exported
    from trunkline.config.hosts.withhold import withhold
    from trunkline.config.wording import describe_path

    servers: list[Exported] = []
    notes: list[str] = []
    for name, definition in chosen.items():
        raw, withheld = (definition.raw, []) if secrets else withhold(name, definition.raw)
        if not isinstance(raw, Mapping):
            notes.append(f"{name}: left out, its entry is no object")
            continue
        servers.append(Exported(name=name, raw=raw))
        notes += [
            f"{name}: set {item.variable}, which stands for {describe_path(item.path)}" for item in withheld
        ]
    return servers, notes
