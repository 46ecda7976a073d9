"""Coalesce: identical calls in flight of one principal share one request. Keeps nothing."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.pipeline.cache import Allows, is_plain
from trunkline.pipeline.flights import Flights
from trunkline.pipeline.service import Service
from trunkline.pipeline.shelf import Shelf


class Coalesce(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the layer."""

    name: ClassVar[str] = "coalesce"

    shelf: Shelf
    """Makes the keys, and counts."""
    flights: Flights
    """What is being asked."""
    allows: Allows
    """Whether what is called changes nothing, by policy or by what a trusted server says."""

    def __repr__(self) -> str:
        return "Coalesce()"

    def wrap(self, inner: Service) -> Service:
        """Give a service that asks `inner` once for calls that are identical and made at the same time."""
        shelf, flights, allows = self.shelf, self.flights, self.allows

        async def coalesce(call: Call) -> Reply:
            asks_anew = call.max_age == 0 or not is_plain(call) or not allows(call)
            if asks_anew or (key := shelf.key_of(call)) is None:
                return await inner(call)
            shared = (key.own, call.log_level)
            shelf.shared += shared in flights
            return await flights.share(shared, call, inner)

        return coalesce
