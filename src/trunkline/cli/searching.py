"""`trunkline search`: the tools that fit some words, best first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK
from trunkline.cli.listing import settle, warn_of_sick
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


def search_command(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="WORD", help="What the tool should do.")],
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Show at most N tools.")] = 5,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Find tools by words, best first, each with its score."""
    settings = settings_of(ctx, config=config, as_json=as_json, timeout=timeout, verbose=verbose)
    return session.guarded(
        settings, lambda terminal: _show_matches(" ".join(words), limit, settings, terminal)
    )


def _show_matches(query: str, limit: int, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.loop import run_loop

    config = session.load_config(settings, terminal)
    return run_loop(_search(query, limit, config, settings, terminal))


async def _search(query: str, limit: int, config: Config, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.envelope import matches_document
    from trunkline.cli.render import line, render_matches

    async with session.open_trunk(config) as trunk:
        await settle(trunk, None, settings)
        matches = await trunk.search(query, limit=limit)
        if settings.as_json:
            terminal.print_document(matches_document(query, matches))
        else:
            terminal.print_text(render_matches(matches))
        if not matches:
            terminal.note(f"trunkline: no tool fits {line(query)!r}")
        warn_of_sick(trunk, terminal)
    return OK
