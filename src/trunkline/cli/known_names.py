"""What servers listed last: what completion offers without starting anything.

One small file per server and kind of list, mode 0600, in the user's cache folder, called after the digest
of what the entry runs or reaches. It holds names only, and a name in it is a suggestion, never proof.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from trunkline.config.caches import cache_folder

if TYPE_CHECKING:
    from trunkline.config.entry import Entry

_MOST_FILES = 768
_MOST_NAMES = 2000
"""Of one server and kind; more are not kept."""

Kind = Literal["tools", "prompts", "resources"]
_KINDS: tuple[Kind, ...] = get_args(Kind)


def recall_names(
    entries: Iterable[Entry], environ: Mapping[str, str], kind: Kind = "tools"
) -> dict[str, list[str]]:
    """Give every configured server with what it listed last; none when that is not known."""
    return {entry.name: _read(_file(entry, environ, kind)) for entry in entries}


def keep_names(
    entries: Iterable[Entry],
    listed: Mapping[str, Iterable[str]],
    environ: Mapping[str, str],
    kind: Kind = "tools",
) -> None:
    """Keep the names of the servers that listed them; nothing is written where nothing is new.

    Raises:
        OSError: the folder cannot be written.
    """
    for entry in entries:
        file = _file(entry, environ, kind)
        if file is not None and entry.name in listed:
            _write(file, list(listed[entry.name])[:_MOST_NAMES])


def forget_names(environ: Mapping[str, str], entries: Iterable[Entry] | None = None) -> None:
    """Forget the names of these servers, or of all.

    Raises:
        OSError: the folder cannot be written.
    """
    if entries is None:
        for file in (cache_folder(environ) / "names").glob("*.json"):
            file.unlink(missing_ok=True)
        return
    for entry in entries:
        for kind in _KINDS:
            if (found := _file(entry, environ, kind)) is not None:
                found.unlink(missing_ok=True)


def _file(entry: Entry, environ: Mapping[str, str], kind: Kind) -> Path | None:
    """Give the place of an entry's names, or None for an entry that cannot be used."""
    digest = getattr(entry, "digest", None)
    if digest is None:
        return None
    name = digest()[:32] if kind == "tools" else f"{digest()[:32]}.{kind}"
    return cache_folder(environ) / "names" / f"{name}.json"


def _read(file: Path | None) -> list[str]:
    try:
        content = json.loads(file.read_bytes()) if file is not None else []
    except (OSError, ValueError):
        return []
    return [name for name in content if isinstance(name, str)] if isinstance(content, list) else []


def _write(file: Path, names: list[str]) -> None:
    if _read(file) == names and (file.exists() or not names):
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(names, out)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    _forget_oldest(file.parent)


def _forget_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[_MOST_FILES:]:
        file.unlink(missing_ok=True)
