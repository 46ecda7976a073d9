"""What a client asks to be told of, in both families: filters, acknowledgments and notifications, as values.

Pure. Sources: specification 2026-07-28, basic/patterns/subscriptions and server/resources
("Subscriptions"); specification 2025-11-25, server/resources ("Subscriptions").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from trunkline.protocol.lists import Kind

LISTEN = "subscriptions/listen"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
UPDATED = "notifications/resources/updated"
MESSAGE = "notifications/message"
META_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"

_FIELDS: dict[Kind, str] = {
    "tools": "toolsListChanged",
    "resources": "resourcesListChanged",
    "prompts": "promptsListChanged",
}
_URIS = "resourceSubscriptions"


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What one stream of notifications is to carry, or does carry."""

    lists: frozenset[Kind] = frozenset()
    """Kinds of lists whose changes are told; templates change with resources."""
    uris: frozenset[str] = frozenset()
    """Resources whose updates are told."""

    def __bool__(self) -> bool:
        return bool(self.lists or self.uris)

    def to_params(self) -> dict[str, Any]:
        """Give the params of `subscriptions/listen`."""
        wanted: dict[str, Any] = {_FIELDS[kind]: True for kind in _FIELDS if kind in self.lists}
        if self.uris:
            wanted[_URIS] = sorted(self.uris)
        return {"notifications": wanted}

    @classmethod
    def read(cls, params: object) -> Filter:
        """Read what a server acknowledges; what cannot be read is not acknowledged."""
        members = params.get("notifications") if isinstance(params, dict) else None
        if not isinstance(members, dict):
            return cls()
        uris = members.get(_URIS)
        return cls(
            lists=frozenset(kind for kind, field in _FIELDS.items() if members.get(field) is True),
            uris=frozenset(uri for uri in uris if isinstance(uri, str))
            if isinstance(uris, list)
            else frozenset(),
        )


def declared_lists(capabilities: Mapping[str, Any]) -> frozenset[Kind]:
    """Give the kinds of lists of which a server says that it tells of their changes."""
    return frozenset(kind for kind in _FIELDS if _declares(capabilities, kind, "listChanged"))


def declares_updates(capabilities: Mapping[str, Any]) -> bool:
    """Whether a server says that it tells of updates of single resources."""
    return _declares(capabilities, "resources", "subscribe")


def subscription_of(params: object) -> object:
    """Give the id of the stream a notification belongs to, or None when it names none."""
    meta = params.get("_meta") if isinstance(params, dict) else None
    return meta.get(META_SUBSCRIPTION) if isinstance(meta, dict) else None


def concerned(uri: str, watched: Iterable[str]) -> list[str]:
    """Give the watched URIs an update is about: the URI itself, or one it is a part of.

    A server may name a sub-resource of what was subscribed to (2025-11-25 and 2026-07-28, schema,
    `ResourceUpdatedNotificationParams`).
    """
    return [one for one in watched if uri == one or _is_part(uri, one)]


def _is_part(uri: str, whole: str) -> bool:
    return uri.startswith(whole) and (whole.endswith("/") or uri[len(whole)] in "/?#")


def _declares(capabilities: Mapping[str, Any], kind: str, feature: str) -> bool:
    declared = capabilities.get(kind)
    return isinstance(declared, dict) and declared.get(feature) is True
