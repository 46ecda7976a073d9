"""The answers that `cache.store = "disk"` keeps, for `trunkline cache`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trunkline.config.loading import Config
    from trunkline.store.sqlite_replies import DiskReplies


def kept_answers(environ: Mapping[str, str]) -> dict[str, Any]:
    """Give the file, how many answers are in it, and how large they are; none where it cannot be read."""
    from sqlite3 import Error

    store = _store(environ)
    try:
        entries, size = store.measure()
    except (OSError, Error):
        entries = size = 0
    return {"path": str(store.path), "entries": entries, "bytes": size}


def forget_answers(environ: Mapping[str, str], servers: list[str], config: Config | None) -> int:
    """Forget what is kept of some configured servers, or everything; how many answers that were."""
    from sqlite3 import Error

    store = _store(environ)
    if servers and config is None:
        return 0
    try:
        if not servers or config is None:
            return store.clear()
        return sum(_forget(store, server, config, environ) for server in servers)
    except (OSError, Error):
        return 0


def _forget(store: DiskReplies, server: str, config: Config, environ: Mapping[str, str]) -> int:
    from trunkline.core.principal import LOCAL
    from trunkline.runtime.memory_key import gather

    entry = next((one for one in config.entries if one.name == server), None)
    material = None if entry is None else gather(entry, config.policy, LOCAL, environ)
    return 0 if material is None else store.clear(lambda salt: material.keys(salt)[1])


def _store(environ: Mapping[str, str]) -> DiskReplies:
    from trunkline.config.caches import cache_folder
    from trunkline.runtime.reply_places import FOLDER
    from trunkline.store.sqlite_replies import DiskReplies

    return DiskReplies(cache_folder(environ) / FOLDER)
