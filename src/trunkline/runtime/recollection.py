"""What is remembered of the servers of a configuration, without starting any of them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.listing import Listing
from trunkline.config.loading import Config
from trunkline.core.handlers import Handlers
from trunkline.core.principal import LOCAL
from trunkline.core.status import ServerStatus
from trunkline.protocol.lists import KINDS, Kind
from trunkline.runtime.assembly import assemble, client_identity
from trunkline.runtime.reading import read_stale
from trunkline.runtime.remembering import Remembering, open_store
from trunkline.store.port import Store
from trunkline.supervision.remembered import Items
from trunkline.supervision.settings import ServerSettings


class Recollection(msgspec.Struct, frozen=True, kw_only=True):
    """Servers as they were when they were last connected."""

    catalog: Catalog
    """Everything in it is stale."""
    statuses: Mapping[str, ServerStatus]
    """All `stopped`, in configuration order."""
    unknown: tuple[str, ...] = ()
    """Servers whose tools are not remembered."""
    problem: str | None = None
    """Why memories could not be used, or None."""


def recollect(config: Config, environ: Mapping[str, str], store: Store | None = None) -> Recollection:
    """Give what is remembered in the user's own store, or in another one."""
    remembering = Remembering(open_store(store, remember=True, environ=environ), LOCAL)
    identity = client_identity(None, Handlers())
    found = [
        assemble(entry, config.policy, identity, Handlers(), remembering=remembering)
        for entry in config.entries
    ]
    return Recollection(
        catalog=Catalog.build(map(_listing, found), [settings.name for settings in found]),
        statuses={settings.name: _status(settings) for settings in found},
        unknown=tuple(settings.name for settings in found if "tools" not in _recalled(settings)),
        problem=remembering.problem,
    )


def _listing(settings: ServerSettings) -> Listing:
    recalled = _recalled(settings)
    found = {
        kind: read_stale(settings.name, settings.transport, kind, recalled[kind])
        for kind in KINDS
        if kind in recalled
    }
    return msgspec.structs.replace(Listing(server=settings.name), **found)


def _recalled(settings: ServerSettings) -> Mapping[Kind, Items]:
    """Give what one of the server's endpoints listed, its own first: they are the same server."""
    known = [one.remembered.recalled for one in (settings, *settings.replicas) if one.remembered is not None]
    return next((recalled for recalled in known if "tools" in recalled), known[0] if known else {})


def _status(settings: ServerSettings) -> ServerStatus:
    era = None if settings.remembered is None else settings.remembered.revision
    return ServerStatus(state="stopped", since=0.0, era=era, transport=settings.transport)
