"""What every command shares: reading the configuration, opening the runtime, ending with a code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from trunkline.cli.exits import InterruptedRunError, exit_code
from trunkline.cli.options import Settings
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.config.loading import Config
    from trunkline.core.handlers import Handlers
    from trunkline.runtime.trunk import Trunk


_command: ContextVar[str] = ContextVar("command", default="")
"""The command that runs, by which others know it."""


def guarded(settings: Settings, work: Callable[[Terminal], int]) -> int:
    """Run one command and give its exit code; every failure is reported and none gets out."""
    from trunkline.cli.diagnostics import ask_for_wire
    from trunkline.cli.logs import logs_shown
    from trunkline.cli.warm.attachment import attaching

    terminal = Terminal(settings)
    ask_for_wire(settings)
    _command.set("" if settings.command == "trunkline" else settings.command)
    with logs_shown(verbose=settings.verbose, log_format=settings.log_format), attaching():
        try:
            return work(terminal)
        except KeyboardInterrupt:
            return _failed(terminal, InterruptedRunError("interrupted"))
        except Exception as error:
            # boundary: a command ends with one clear message and a code, whatever went wrong in it
            return _failed(terminal, error)


def load_config(settings: Settings, terminal: Terminal) -> Config:
    """Read what says which servers there are, see `find_config`, and warn of what it lacks.

    Raises:
        ConfigError: a file is missing, unreadable or invalid, or there is none at all.
        UsageError: the options do not describe one server.
    """
    from trunkline.cli.logs import hide_secrets
    from trunkline.cli.render import line
    from trunkline.cli.warm.attachment import attach
    from trunkline.config.egress import UNVERIFIED, is_unverified
    from trunkline.config.entry import HttpEntry

    config = find_config(settings)
    attach(config, settings, terminal)
    hide_secrets(secret for entry in config.entries for secret in getattr(entry, "secrets", ()))
    for warning in config.warnings:
        terminal.warn(line(warning))
    for entry in config.entries:
        if isinstance(entry, HttpEntry) and is_unverified(entry, config.policy.for_server(entry.name)):
            terminal.warn(line(f"{entry.name}: {UNVERIFIED}"))
    if not config.entries:
        terminal.warn(f"no server is configured in {line(', '.join(config.sources))}")
    return config


def find_config(settings: Settings) -> Config:
    """Read the server the options describe, or the files `--config` names, or those that are found.

    Raises:
        ConfigError: a file is missing, unreadable or invalid, or there is none at all.
        UsageError: the options do not describe one server.
    """
    from trunkline.cli.adhoc import describe_server

    described = describe_server(settings)
    if described is None:
        return read_config(settings.config, settings.profile)
    return read_entry(*described, profile=settings.profile)


def read_config(names: Sequence[str], profile: str | None = None) -> Config:
    """Read one file or URL, several, or, for none, those that are found."""
    from trunkline.config.loading import load

    return load(list(names) if len(names) > 1 else next(iter(names), None), profile=profile)


def read_entry(name: str | None, entry: Mapping[str, Any], *, profile: str | None = None) -> Config:
    """Make a configuration of one server, with the policy of the working directory.

    Raises:
        ConfigError: the entry cannot be used.
    """
    from trunkline.config.entry import BadEntry
    from trunkline.config.loading import UNNAMED, load

    config = load({"mcpServers": {name or UNNAMED: entry}}, profile=profile)
    for made in config.entries:
        if isinstance(made, BadEntry):
            raise made.error
    return config


def server_names(config: Config) -> tuple[str, ...]:
    """Give the configured names, in the order of the files."""
    return tuple(entry.name for entry in config.entries)


def described_server(config: Config, settings: Settings) -> str | None:
    """Give the name of the one server the options describe, or None when files name the servers."""
    from trunkline.cli.adhoc import describe_server

    return None if describe_server(settings) is None else server_names(config)[0]


def open_cached(config: Config, terminal: Terminal, *, cached: bool) -> AbstractAsyncContextManager[Trunk]:
    """Give the runtime as `open_trunk` does, or with `cached` what stands in for it and starts nothing."""
    if not cached:
        return open_trunk(config)
    from trunkline.cli.recalled import RecalledTrunk

    return cast("AbstractAsyncContextManager[Trunk]", RecalledTrunk(config, terminal))


def open_trunk(config: Config, handlers: Handlers | None = None) -> AbstractAsyncContextManager[Trunk]:
    """Give the runtime over every server of `config`; entering starts them, unless they are kept warm."""
    from trunkline.cli.warm.attachment import attached

    if (link := attached(config)) is not None:
        from trunkline.runtime.control_client import AttachedTrunk

        return cast("AbstractAsyncContextManager[Trunk]", AttachedTrunk(link, server_names(config), handlers))
    import trunkline
    from trunkline.cli.diagnostics import wire_target
    from trunkline.cli.hosting_asking import answered
    from trunkline.cli.reachable import reachable

    trunk = trunkline.connect(answered(config), handlers=handlers, wire=wire_target(), remember=True)
    return reachable(trunk, f"trunkline {_command.get()}".rstrip())


async def refresh_status(trunk: Trunk) -> None:
    """Bring what `trunk.status()` gives up to date, where the servers are kept warm by another process.

    Raises:
        UnavailableError: that process was lost.
    """
    refresh = getattr(trunk, "refresh_status", None)
    if refresh is not None:
        await refresh()


def remember_names(trunk: Trunk, config: Config) -> None:
    """Keep the names of what each server listed, for completion; that it fails is no matter.

    A command on warm servers that did not have to know their tools keeps none.
    """
    from trunkline.cli.warm.attachment import is_attached

    if is_attached() and not trunk.catalog.tools:
        return
    import logging
    import os

    from trunkline.cli.known_names import Kind, keep_names
    from trunkline.config.caches import is_switched_off

    if is_switched_off(os.environ):
        return

    catalog, statuses = trunk.catalog, trunk.status()
    names: dict[Kind, list[tuple[str, str]]] = {
        "tools": [(one.server, one.name) for one in catalog.tools],
        "prompts": [(one.server, one.name) for one in catalog.prompts],
        "resources": [(one.server, one.uri) for one in catalog.resources if _is_plain(one.uri)],
    }
    try:
        for kind, found in names.items():
            listing = [name for name, status in statuses.items() if getattr(status, kind) is not None]
            listed = {server: [name for owner, name in found if owner == server] for server in listing}
            keep_names(config.entries, listed, os.environ, kind)
    except OSError as error:
        logging.getLogger("trunkline.cli").debug("names for completion were not kept: %s", error)


def only(config: Config, server: str | None) -> Config:
    """Keep one server, so that no other is started; None keeps all."""
    from msgspec.structs import replace

    if server is None:
        return config
    return replace(config, entries=tuple(entry for entry in config.entries if entry.name == server))


def require_enabled(config: Config, word: str) -> None:
    """Refuse what names a server that is switched off.

    Raises:
        ConfigError: naming the server.
    """
    from trunkline.cli.selectors import split_prefix
    from trunkline.errors import ConfigError

    selector = split_prefix(word, config.disabled)
    server = word if word in config.disabled else selector.server if selector is not None else None
    if server is not None and split_prefix(word, server_names(config)) is None:
        raise ConfigError("is switched off", server=server, hint="Remove `disabled` from its entry.")


def _is_plain(uri: str) -> bool:
    """Whether a URI has no part that may hold a secret."""
    return "?" not in uri and "@" not in uri


def _failed(terminal: Terminal, error: Exception) -> int:
    terminal.fail(error)
    return exit_code(error)
