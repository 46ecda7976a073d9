"""The server files that a command line means."""

from __future__ import annotations

from trunkline.cli import session
from trunkline.cli.options import Settings


def sources_of(settings: Settings) -> tuple[str, ...]:
    """Give the server files, linked ones included; where one is broken, those that are named or found.

    A broken file must not keep its process alive.

    Raises:
        ConfigError: there is no file at all.
    """
    from os import environ
    from pathlib import Path

    from trunkline.config.discovery import discover
    from trunkline.config.source import ARGUMENT, absolute_path
    from trunkline.errors import ConfigError

    try:
        return session.read_config(settings.config, settings.profile).sources
    except ConfigError:
        folder = Path.cwd()
        if not settings.config:
            return tuple(str(path) for path in discover(folder, environ))
    found = (ARGUMENT if "://" in name else str(absolute_path(name, folder)) for name in settings.config)
    return tuple(dict.fromkeys(found))
