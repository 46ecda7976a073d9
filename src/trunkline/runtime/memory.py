"""One server's memory: what was read of it, what this run adds, and the records that follow from both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from trunkline.core.limits import Limits
from trunkline.protocol.limits import LimitExceeded, check_shape
from trunkline.protocol.lists import KINDS, Kind
from trunkline.runtime.memory_key import Material
from trunkline.store.record import Lists, Way, encode_lists, encode_way, name_program
from trunkline.supervision.remembered import Items, Remembered

_WORN = 1_000
"""As many starts as nobody believes in: what was remembered is to be found out anew."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be kept of one server."""

    material: Material
    way: Way | None
    server: str
    capabilities: Mapping[str, Any]
    lists: Mapping[Kind, Items]

    def records(self, salt: bytes) -> Iterator[tuple[str, bytes]]:
        """Give the key and the bytes of each record.

        Raises:
            ValueError, TypeError: a list holds what is no JSON.
        """
        own, listed = self.material.keys(salt)
        if self.way is not None:
            yield own, encode_way(self.way)
        if self.lists:
            yield listed, encode_lists(self.server, self.capabilities, self.lists)


class Memory:
    """What is remembered of one server, before and after this run."""

    remembered: Remembered

    def __init__(self, server: str, material: Material, way: Way | None, lists: Lists | None) -> None:
        self._server = server
        self._material = material
        self._way = way
        self._lists = lists

    def snapshot(self) -> Snapshot:
        """Give what is to be kept as of now."""
        found = self.remembered
        known = found.lists
        return Snapshot(
            material=self._material,
            way=self._current_way(),
            server=self._server,
            capabilities=found.capabilities,
            lists={kind: known[kind] for kind in KINDS if kind in known} if found.found else {},
        )

    def _current_way(self) -> Way | None:
        found, before = self.remembered, self._way
        if not found.met or found.revision is None:
            return None
        program = name_program(found.server_info)
        starts = before.starts + 1 if found.believed and before is not None else 0
        if before is not None and found.believed and program != before.program:
            # Another version of it may speak another era as well.
            starts = _WORN
        return Way(
            server=self._server,
            revision=found.revision,
            transport=found.transport,
            program=program,
            starts=starts,
        )


def read_items(lists: Lists | None, limits: Limits) -> dict[Kind, Items]:
    """Give the remembered lists, as far as they keep to the limits on what a server may send."""
    if lists is None:
        return {}
    kept = {kind: lists.lists[kind] for kind in KINDS if kind in lists.lists}
    return {kind: tuple(_sound(items[: limits.items], limits)) for kind, items in kept.items()}


def _sound(items: list[msgspec.Raw], limits: Limits) -> Iterator[Any]:
    for item in items:
        data = bytes(item)
        try:
            if len(data) <= limits.frame_bytes:
                check_shape(data, limits)
                yield msgspec.json.decode(data)
        except (LimitExceeded, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
