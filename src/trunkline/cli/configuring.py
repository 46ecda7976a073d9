"""`trunkline config`: what is configured, where each value came from, and what is wrong with it.

No command of this group starts a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK, USAGE
from trunkline.cli.options import (
    ConfigOption,
    JsonOption,
    Settings,
    TimeoutOption,
    VerboseOption,
    settings_of,
)
from trunkline.cli.terminal import Terminal
from trunkline.cli.values import LeanCommand, LeanGroup

if TYPE_CHECKING:
    from pathlib import Path

    from trunkline.config.lookup import Lookup

config = typer.Typer(
    name="config",
    cls=LeanGroup,
    help="Show, explain and check the configuration. Starts no server.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@config.command("show", cls=LeanCommand)
def show(
    ctx: typer.Context,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Show every server, and the policy that is not default."""
    settings = settings_of(ctx, config=config, as_json=as_json, timeout=timeout, verbose=verbose)
    return session.guarded(settings, lambda terminal: _show(settings, terminal))


@config.command("sources", cls=LeanCommand)
def sources(
    ctx: typer.Context,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Show every file looked at, and what each one gave."""
    settings = settings_of(ctx, config=config, as_json=as_json, timeout=timeout, verbose=verbose)
    return session.guarded(settings, lambda terminal: _sources(settings, terminal))


@config.command("explain", cls=LeanCommand)
def explain(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="SERVER|SERVER.TOOL", help="What to explain.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Show what is in force for a server or tool, and why."""
    settings = settings_of(ctx, config=config, as_json=as_json, timeout=timeout, verbose=verbose)
    return session.guarded(settings, lambda terminal: _explain(name, settings, terminal))


@config.command("check", cls=LeanCommand)
def check(
    ctx: typer.Context,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """List every problem of every file; exit 2 on an error."""
    settings = settings_of(ctx, config=config, as_json=as_json, timeout=timeout, verbose=verbose)
    return session.guarded(settings, lambda terminal: _check(settings, terminal))


@config.command("schema", cls=LeanCommand)
def schema(
    ctx: typer.Context,
    servers: Annotated[bool, typer.Option("--servers", help="The schema of mcp.json instead.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Print the JSON Schema of trunkline.toml."""
    settings = settings_of(ctx, as_json=as_json)
    return session.guarded(settings, lambda terminal: _schema(servers, terminal))


@config.command("path", cls=LeanCommand)
def path(
    ctx: typer.Context,
    user: Annotated[bool, typer.Option("--user", help="Your own server file.")] = False,
    project: Annotated[bool, typer.Option("--project", help="The server file of this project.")] = False,
    policy: Annotated[bool, typer.Option("--policy", help="The trunkline.toml.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Print the path of the file in use, or to create.

    Without an option: of the first server file.
    """
    settings = settings_of(ctx, config=config, as_json=as_json)
    wanted = [word for word, asked in (("user", user), ("project", project), ("policy", policy)) if asked]
    return session.guarded(settings, lambda terminal: _path(wanted, settings, terminal))


def _show(settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.configuring_view import render_servers, servers_view

    loaded, found = session.load_config(settings, terminal), _look_up(settings)
    view = servers_view(loaded, found)
    if settings.as_json:
        terminal.print_document({"ok": True, **view})
    else:
        terminal.print_text(render_servers(view, terminal.paint))
    return OK


def _sources(settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.configuring_view import render_sources, sources_view

    view = sources_view(_look_up(settings))
    if settings.as_json:
        terminal.print_document({"ok": True, **view})
    else:
        terminal.print_text(render_sources(view, terminal.paint))
    return OK


def _explain(name: str, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.configuring_view import explanation_view
    from trunkline.cli.selectors import split_prefix

    loaded = session.load_config(settings, terminal)
    names = (*session.server_names(loaded), *loaded.disabled)
    server, tool = name, None
    if name not in names:
        selector = split_prefix(name, names)
        if selector is None or selector.server is None:
            raise _unknown(name, names)
        server, tool = selector.server, selector.tool
    explanation = loaded.policy.explain(server, tool)
    if settings.as_json:
        terminal.print_document({"ok": True, **explanation_view(explanation)})
    else:
        terminal.print_text(str(explanation))
    return OK


def _check(settings: Settings, terminal: Terminal) -> int:
    from os import environ

    from msgspec.structs import replace

    from trunkline.cli.caching import find_problem
    from trunkline.cli.configuring_view import render_report, report_view
    from trunkline.config.checking import check as check_all
    from trunkline.runtime.diagnostics import DIAGNOSTICS

    report = check_all(list(settings.config) or None, profile=settings.profile, codes=DIAGNOSTICS)
    if (problem := find_problem(environ)) is not None:
        report = replace(report, problems=(*report.problems, problem))
    if settings.as_json:
        terminal.print_document(report_view(report))
    else:
        terminal.print_text(render_report(report, terminal.paint))
    return USAGE if report.errors else OK


def _schema(servers: bool, terminal: Terminal) -> int:
    from trunkline.config.schema import policy_schema, servers_schema

    terminal.print_text((servers_schema() if servers else policy_schema()).rstrip("\n"))
    return OK


def _path(wanted: list[str], settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.exits import UsageError

    if len(wanted) > 1:
        both = " and ".join(f"--{word}" for word in wanted)
        raise UsageError(f"{both} ask for different files", hint="Ask for one of them.")
    place = str(_place(wanted[0] if wanted else "", settings))
    if settings.as_json:
        terminal.print_document({"ok": True, "path": place})
    else:
        terminal.print_text(place)
    return OK


def _place(wanted: str, settings: Settings) -> Path:
    import os
    from pathlib import Path

    from trunkline.config.discovery import user_file
    from trunkline.config.lookup import policy_place, project_place

    if wanted == "user":
        return user_file(os.environ)
    found = _look_up(settings)
    if wanted == "policy":
        return policy_place(found)
    used = next((file for file in found.files if file.role != "policy" and file.exists), None)
    if wanted == "project" or used is None:
        return project_place(found)
    return Path(used.path)


def _look_up(settings: Settings) -> Lookup:
    import os

    from trunkline.config.lookup import look_up

    return look_up(list(settings.config) or None, cwd=None, environ=os.environ)


def _unknown(name: str, names: tuple[str, ...]) -> Exception:
    from trunkline.config.wording import nearest
    from trunkline.errors import NotFoundError

    similar = nearest(name, names, cutoff=0.6) or nearest(name.partition(".")[0], names, cutoff=0.6)
    configured = ", ".join(names) or "none"
    meant = f"Did you mean {similar!r}? " if similar else ""
    return NotFoundError(
        f"no server is called so, and no server is asked for its tools here; configured are: {configured}",
        candidates=(similar,) if similar else (),
        tool=name,
        hint=f"{meant}Write a tool as server.tool.",
    )
