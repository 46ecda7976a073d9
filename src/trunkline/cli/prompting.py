"""`trunkline prompt`: one prompt with its arguments filled in; without a name, the prompts there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK, UsageError
from trunkline.cli.listing import saying_who_is_sick, settle, warn_of_sick
from trunkline.cli.options import NoCacheOption, Settings, with_settings
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.cli.arguments import Given
    from trunkline.cli.selectors import Selector
    from trunkline.config.loading import Config
    from trunkline.core.prompt import PromptReply

_ALL_TEXT = {"type": "object", "additionalProperties": {"type": "string"}}
"""A prompt takes nothing but text."""


@with_settings
def prompt_command(
    settings: Settings,
    prompt: Annotated[
        str | None, typer.Argument(metavar="[PROMPT]", help="As server.prompt; without it, all are listed.")
    ] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGUMENT]", help="key=value, key=@file, @file, or a JSON object."),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the result object as the server sent it.")
    ] = False,
    no_cache: NoCacheOption = False,
) -> int:
    """Get one prompt, its arguments filled in, and print its messages; without a name, list the prompts."""
    words = [] if prompt is None else [prompt, *(arguments or ())]
    return session.guarded(
        settings, lambda terminal: _prompt(words, raw, settings, terminal, cache=not no_cache)
    )


def _prompt(words: list[str], raw: bool, settings: Settings, terminal: Terminal, *, cache: bool) -> int:
    from trunkline.cli.loop import run_loop
    from trunkline.cli.selectors import select_tool

    if raw and settings.as_json:
        raise UsageError("--raw and --json exclude each other")
    config = session.load_config(settings, terminal)
    names = session.server_names(config)
    if not words or (len(words) == 1 and words[0] in names):
        return run_loop(_list(session.only(config, words[0] if words else None), settings, terminal))
    session.require_enabled(config, words[0])
    selector, rest = select_tool(words, names, default=session.described_server(config, settings))
    given = _read_arguments(rest)
    chosen = session.only(config, selector.server)
    return run_loop(_perform(selector, given, raw, chosen, settings, terminal, cache=cache))


def _read_arguments(words: list[str]) -> Given:
    from trunkline.cli.arguments import parse_arguments
    from trunkline.cli.calling import read_argument

    return parse_arguments(words, read_argument)


async def _perform(
    selector: Selector,
    given: Given,
    raw: bool,
    config: Config,
    settings: Settings,
    terminal: Terminal,
    *,
    cache: bool,
) -> int:
    from trunkline.cli.arguments import resolve_arguments

    values: dict[str, Any] = resolve_arguments(given, _ALL_TEXT)
    async with session.open_trunk(config) as trunk:
        with saying_who_is_sick(trunk, selector, terminal):
            reply = await trunk.get_prompt(selector.name, values, timeout=settings.timeout, cache=cache)
        _show(reply, raw, settings, terminal)
    return OK


def _show(reply: PromptReply, raw: bool, settings: Settings, terminal: Terminal) -> None:
    import sys

    from trunkline.cli.envelope import prompt_document
    from trunkline.cli.offers import render_messages
    from trunkline.cli.render import line

    if settings.as_json:
        terminal.print_document(prompt_document(reply))
    elif raw:
        terminal.print_document(reply.raw)
    else:
        terminal.print_text(render_messages(reply, terminal.paint, exact=not sys.stdout.isatty()))
    for warning in reply.warnings:
        terminal.warn(line(warning))


async def _list(config: Config, settings: Settings, terminal: Terminal) -> int:
    from trunkline.cli.envelope import prompts_document
    from trunkline.cli.offers import render_prompts

    async with session.open_trunk(config) as trunk:
        await settle(trunk, None, settings, lists=True)
        prompts = trunk.catalog.prompts
        session.remember_names(trunk, config)
        if settings.as_json:
            terminal.print_document(prompts_document(prompts))
        else:
            terminal.print_text(render_prompts(prompts, terminal.paint))
        warn_of_sick(trunk, terminal)
    return OK
