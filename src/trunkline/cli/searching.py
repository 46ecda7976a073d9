"""`trunkline search`: the tools that fit some words, best first."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK
from trunkline.cli.listing import settle, warn_of_sick
from trunkline.cli.options import Settings, with_settings
from trunkline.cli.recalled import CachedOption
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.catalog.search import Match
    from trunkline.config.loading import Config
    from trunkline.runtime.trunk import Trunk


@with_settings
def search_command(
    settings: Settings,
    words: Annotated[list[str], typer.Argument(metavar="WORD", help="What the tool should do.")],
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Show at most N tools.")] = 5,
    cached: CachedOption = False,
) -> int:
    """Find tools by words, best first, each with its score."""
    return session.guarded(
        settings, lambda terminal: _show_matches(" ".join(words), limit, cached, settings, terminal)
    )


def _show_matches(query: str, limit: int, cached: bool, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.loop import run_loop

    config = session.load_config(settings, terminal)
    opened = session.open_cached(config, terminal, cached=cached)
    return run_loop(_search(query, limit, config, opened, settings, terminal))


async def _search(
    query: str,
    limit: int,
    config: Config,
    opened: AbstractAsyncContextManager[Trunk],
    settings: Settings,
    terminal: Terminal,
) -> int:
    from trunkline.cli.envelope import matches_document
    from trunkline.cli.render import line, render_matches

    async with opened as trunk:
        await settle(trunk, None, settings)
        session.remember_names(trunk, config)
        matches = await _find(query, limit, trunk, settings)
        if settings.as_json:
            terminal.print_document(matches_document(query, matches))
        else:
            terminal.print_text(render_matches(matches, terminal.paint))
        if not matches:
            terminal.note(f"trunkline: no tool fits {line(query)!r}")
        warn_of_sick(trunk, terminal)
    return OK


async def _find(query: str, limit: int, trunk: Trunk, settings: Settings) -> Sequence[Match]:
    if not settings.read_only:
        return await trunk.search(query, limit=limit)
    from trunkline.cli.hints import is_read_only

    matches = await trunk.search(query, limit=max(limit, len(trunk.catalog.tools)))
    return [match for match in matches if is_read_only(match.tool)][:limit]
