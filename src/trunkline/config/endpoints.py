"""The endpoints of one logical server: its entry, those given with it from code, those policy adds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from trunkline.config.entry import BadEntry, Entry, HttpEntry, PeerEntry, StdioEntry
from trunkline.config.entry_error import EntryError
from trunkline.config.policy import Policy
from trunkline.config.reference import resolve
from trunkline.config.replicas import ReplicaPolicy
from trunkline.config.secret import conceal
from trunkline.config.settings import ServerPolicy
from trunkline.config.url import check_url, origin
from trunkline.errors import ConfigError

_FIELD = "replicas"


def find_replicas(
    entry: Entry, rules: ServerPolicy, environ: Mapping[str, str], folder: Path
) -> tuple[Entry, ...]:
    """Give every endpoint of a server, its own first; one that cannot be used fails alone.

    A replica at the server's own URL adds no endpoint: it says the region and weight of that one.

    Args:
        folder: where relative paths of the settings begin.
    """
    own = entry
    found: list[Entry] = [replace(one, name=entry.name) for one in entry.replicas]
    for written in rules.replicas:
        one = _replica(entry, written, environ, folder)
        if isinstance(one, HttpEntry) and isinstance(own, HttpEntry) and one.url == own.url:
            own = replace(own, region=one.region, weight=one.weight, tags=one.tags)
        else:
            found.append(one)
    return (own, *found)


def endpoints_of(entry: Entry, policy: Policy) -> tuple[Entry, ...]:
    """Give every endpoint of a server, as policy and the environment have it now; see `find_replicas`."""
    return find_replicas(entry, policy.for_server(entry.name), os.environ, policy.folder)


def show_endpoint(entry: Entry) -> str:
    """Give where an endpoint is, without secrets."""
    match entry:
        case HttpEntry():
            return entry.shown or origin(entry.url)
        case StdioEntry():
            return " ".join(entry.shown)
        case PeerEntry():
            return type(entry.peer).__qualname__
        case BadEntry():
            return ""


def _replica(entry: Entry, written: ReplicaPolicy, environ: Mapping[str, str], folder: Path) -> Entry:
    try:
        if not isinstance(entry, HttpEntry):
            raise ConfigError(
                "replicas are further URLs of a server that has a URL, and this one has none",
                server=entry.name,
                field=_FIELD,
                hint="Remove `replicas` here; from code, `trunkline.Replicas` takes endpoints of any kind.",
            )
        url = resolve(written.url, environ, server=entry.name, field=_FIELD, folder=str(folder))
        kind = check_url(url, kind=entry.kind if entry.kind == "sse" else None, path=(_FIELD,))
    except EntryError as mistake:
        error = ConfigError(mistake.message, server=entry.name, field=_FIELD, hint=mistake.hint)
        return _bad(entry, error)
    except ConfigError as error:
        return _bad(entry, error)
    secrets = tuple(dict.fromkeys((*entry.secrets, *_secrets(written.url, url))))
    return replace(
        entry,
        url=url,
        kind=kind,
        shown=conceal(written.url)[0],
        secrets=tuple(sorted(secrets, key=lambda one: (-len(one), one))),
        region=written.region,
        weight=written.weight,
        tags=written.tags,
        replicas=(),
    )


def _secrets(written: str, url: str) -> Iterator[str]:
    """Give what must not be shown of a URL: its credentials, and all of it where a reference gave it."""
    yield from conceal(url)[1]
    if written != url:
        yield url


def _bad(entry: Entry, error: ConfigError) -> BadEntry:
    return BadEntry(name=entry.name, source=entry.source, error=error)
