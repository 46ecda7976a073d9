"""The tools seen last, by the servers' configured names: what completion offers without starting anything.

One small file per set of server files, mode 0600, in the user's cache folder. It holds names only, and a name
in it is a suggestion, never proof that the tool is there.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from trunkline.cli.options import Settings
from trunkline.config.discovery import discover, home_folder

Names = dict[str, list[str]]
"""Names of tools by server, in the order of both."""

_MOST_FILES = 64
_MOST_TOOLS = 2000
"""Of one server; more are not kept."""
_URLS = ("http://", "https://", "ws://", "wss://")


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Give our folder among the user's caches."""
    home = Path(home_folder(environ))
    if os.name == "nt":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "trunkline" / "cache"
    stated = environ.get("XDG_CACHE_HOME", "")
    usual = home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
    return (Path(stated) if os.path.isabs(stated) else usual) / "trunkline"


def names_file(settings: Settings, folder: Path, environ: Mapping[str, str]) -> Path:
    """Give the file for the servers these settings lead to; it need not exist.

    Its name is a digest of the server files and their content, or of what the options say.

    Raises:
        OSError, ConfigError: there are no server files, or one cannot be read.
    """
    import hashlib

    digest = hashlib.sha256()
    for part in _identity(settings, folder, environ):
        digest.update(hashlib.sha256(part).digest())
    return cache_folder(environ) / "names" / f"{digest.hexdigest()[:32]}.json"


def read_names(file: Path) -> Names:
    """Give what was remembered, or nothing when there is no such file or it is damaged."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {
        server: [tool for tool in tools if isinstance(tool, str)]
        for server, tools in content.items()
        if isinstance(tools, list)
    }


def write_names(file: Path, names: Mapping[str, Iterable[str]]) -> None:
    """Remember names, next to those of other servers; nothing is written when nothing is new.

    Raises:
        OSError: the folder cannot be written.
    """
    before = read_names(file)
    now = before | {server: list(tools)[:_MOST_TOOLS] for server, tools in names.items()}
    if now == before:
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(now, out)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    _forget_oldest(file.parent)


def _identity(settings: Settings, folder: Path, environ: Mapping[str, str]) -> Iterable[bytes]:
    described = [settings.http, settings.sse, settings.ws, settings.stdio]
    if any(described):
        # What headers and variables hold is secret, and does not change which tools there are.
        yield json.dumps([*described, settings.cwd and str(folder / settings.cwd), settings.name]).encode()
        return
    for source in settings.config or discover(folder, environ):
        if isinstance(source, str) and source.lower().startswith(_URLS):
            yield source.encode()
            continue
        file = folder / os.path.expanduser(source)
        yield os.path.abspath(file).encode("utf-8", "surrogateescape")
        yield file.read_bytes()


def _forget_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[_MOST_FILES:]:
        file.unlink(missing_ok=True)
