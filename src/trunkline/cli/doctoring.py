"""`trunkline doctor`: examines servers phase by phase, and says what is wrong and what mends it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trunkline.cli import session
from trunkline.cli.exits import AUTHORIZATION, OK, TOOL_ERROR, UNREACHABLE, USAGE
from trunkline.cli.options import Settings, with_settings
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.config.loading import Config
    from trunkline.runtime.doctor.background import Background
    from trunkline.runtime.doctor.checkup import Checkup
    from trunkline.telemetry.wire import WireRecord

    Group = tuple[Config, dict[str, Background]]

_ALL_CODES = "all"
_EXITS = {
    "config_error": USAGE,
    "authorization_required": AUTHORIZATION,
    "malformed_tool": TOOL_ERROR,
    "invalid_schema": TOOL_ERROR,
}
"""Exit codes by the code of what failed; for anything else the server cannot be reached."""


@with_settings
def doctor_command(
    settings: Settings,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SERVER|URL|FILE]", help="What to examine. Default: every server."),
    ] = None,
    all_phases: Annotated[
        bool, typer.Option("--all", help="Show the phases of healthy servers too.")
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="CODE", help="Print the page about a code; `all` lists them."),
    ] = None,
) -> int:
    """Find out why servers do not work, and what mends them.

    Each server is started or reached anew and examined phase by phase, all at the same time. The exit code is
    that of the first server that fails.
    """
    if explain is not None:
        return session.guarded(settings, lambda terminal: _explain(explain, terminal))
    return session.guarded(settings, lambda terminal: _examine(words or (), all_phases, settings, terminal))


def exit_code_of(checkups: Sequence[Checkup]) -> int:
    """Give the exit code: that of the first server that failed, or 0."""
    failures = (checkup.failure for checkup in checkups if not checkup.ok)
    codes = [_EXITS.get(trouble.code, UNREACHABLE) for trouble in failures if trouble is not None]
    return codes[0] if codes else OK


def _explain(code: str, terminal: Terminal) -> int:
    from msgspec.structs import asdict

    from trunkline.config.wording import nearest
    from trunkline.errors import NotFoundError
    from trunkline.runtime.diagnostics import DIAGNOSTICS

    if code == _ALL_CODES:
        if terminal.settings.as_json:
            terminal.print_document(
                {"ok": True, "diagnostics": [asdict(one) for one in DIAGNOSTICS.values()]}
            )
        else:
            width = max(map(len, DIAGNOSTICS))
            terminal.print_text("\n".join(f"{one.code:{width}}  {one.title}" for one in DIAGNOSTICS.values()))
        return OK
    found = DIAGNOSTICS.get(code)
    if found is None:
        similar = nearest(code, DIAGNOSTICS, cutoff=0.5)
        meant = f"Did you mean {similar}? " if similar else ""
        raise NotFoundError(
            f"there is no code {code!r}",
            candidates=(similar,) if similar else (),
            hint=f"{meant}`trunkline doctor --explain all` lists them.",
        )
    if terminal.settings.as_json:
        terminal.print_document({"ok": True, "diagnostic": asdict(found)})
    else:
        terminal.print_text(found.page().rstrip("\n"))
    return OK


def _examine(words: Sequence[str], all_phases: bool, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.loop import run_loop

    groups = choose(words, settings, terminal)
    return run_loop(_run(groups, all_phases, settings, terminal))


def choose(words: Sequence[str], settings: Settings, terminal: Terminal) -> list[Group]:
    """Give what is to be examined: configured servers by name, and servers of URLs and files.

    Raises:
        ConfigError: a file cannot be used, or a server that is named is switched off.
        NotFoundError: a word is none of these.
    """
    from msgspec.structs import replace

    targets = [word for word in words if "://" in word]
    others = [word for word in words if word not in targets]
    groups: list[Group] = []
    if others or not words:
        files = [word for word in others if os.path.isfile(word)]
        config, backgrounds = _configured(settings, terminal, required=len(files) < len(others) or not words)
        names = session.server_names(config) if config is not None else ()
        targets += [word for word in files if word not in names]
        wanted = [word for word in others if word not in targets]
        for word in wanted:
            _require_known(word, names, config)
        if config is not None and (wanted or not words):
            if words:
                kept = tuple(entry for entry in config.entries if entry.name in wanted)
                config = replace(config, entries=kept, disabled=())
            groups.append((config, backgrounds))
    if targets:
        targets.sort(key=words.index)
        groups.append(_load(targets, settings, terminal))
    return groups


def _configured(
    settings: Settings, terminal: Terminal, *, required: bool
) -> tuple[Config | None, dict[str, Background]]:
    from trunkline.cli.adhoc import describe_server
    from trunkline.cli.hosting_asking import answered
    from trunkline.config.loading import UNNAMED
    from trunkline.errors import ConfigError

    try:
        config = answered(session.load_config(settings, terminal))
    except ConfigError:
        if required:
            raise
        return None, {}
    described = describe_server(settings)
    target: Any = list(settings.config) or None
    if described is not None:
        target = {"mcpServers": {described[0] or UNNAMED: described[1]}}
    return config, _backgrounds(target, settings)


def _load(targets: list[str], settings: Settings, terminal: Terminal) -> Group:
    from dataclasses import replace

    from trunkline.cli.hosting_asking import answered

    named = replace(settings, config=tuple(targets), http=None, sse=None, ws=None, stdio=None)
    return answered(session.load_config(named, terminal)), _backgrounds(targets, settings)


def _backgrounds(target: Any, settings: Settings) -> dict[str, Background]:
    from trunkline.runtime.doctor.background import read_backgrounds

    return read_backgrounds(target, environ=os.environ, profile=settings.profile)


def _require_known(word: str, names: Sequence[str], config: Config | None) -> None:
    from trunkline.config.wording import nearest
    from trunkline.errors import NotFoundError

    if word in names:
        return
    if config is not None:
        session.require_enabled(config, word)
    similar = nearest(word, names, cutoff=0.6)
    raise NotFoundError(
        f"there is no server and no file {word!r}",
        candidates=(similar,) if similar else (),
        hint=f"Did you mean {similar!r}?" if similar else "`trunkline config show` lists the servers.",
    )


async def _run(groups: Sequence[Group], all_phases: bool, settings: Settings, terminal: Terminal) -> int:
    import time

    from trunkline.cli.doctoring_view import render_checkup, render_summary, summary_view
    from trunkline.cli.progress import ProgressLine
    from trunkline.core.call import Progress
    from trunkline.runtime.doctor.examine import endpoints, examine

    checkups: list[Checkup] = []
    count = sum(len(endpoints(config)) for config, _ in groups)
    disabled = tuple(name for config, _ in groups for name in config.disabled)
    line = ProgressLine(terminal.note, verbose=False)

    def done(checkup: Checkup) -> None:
        checkups.append(checkup)
        if not settings.as_json:
            with line.paused():
                terminal.print_text(render_checkup(checkup, terminal.paint, all_phases=all_phases))
        show(Progress(progress=len(checkups), total=count, message="examined"))

    with line as show, _open_wire() as wire:
        for config, backgrounds in groups:
            await examine(
                config,
                backgrounds=backgrounds,
                timeout=settings.timeout,
                today=time.time(),
                wire=wire,
                on_done=done,
            )
    if settings.as_json:
        terminal.print_document(summary_view(checkups, disabled))
    else:
        terminal.print_text(render_summary(checkups, disabled))
    return exit_code_of(checkups)


@contextmanager
def _open_wire() -> Iterator[Callable[[WireRecord], None] | None]:
    """Give what takes the records of `--wire`, or None."""
    from trunkline.cli.diagnostics import wire_target

    target = wire_target()
    if target is None or callable(target):
        yield target
        return
    import asyncio

    from trunkline.security.scrub import Scrubber
    from trunkline.telemetry.wire_log import WireLog

    # What comes here has its secrets removed already.
    log = WireLog(target, Scrubber(), asyncio.get_running_loop().time)
    try:
        yield log.take
    finally:
        log.close()
