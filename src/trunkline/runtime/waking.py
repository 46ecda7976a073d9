"""Waiting until servers are ready or failed, with those that sleep until they are used, or without.

`lazy` changes when a server is connected, never what a name means: a bare name is unique only if no
server that may have it was left out.
"""

from __future__ import annotations

from trunkline.supervision.fleet import Fleet


async def settle_awake(fleet: Fleet) -> None:
    """Wait until every server that has been wanted is ready or failed."""
    for name, server in tuple(fleet):
        if not server.asleep:
            await fleet.settled(name)


async def settle_all(fleet: Fleet) -> None:
    """Wait until it is known of each server what it lists, or that it failed; connect who was never asked."""
    servers = [(name, one) for name, one in fleet if not one.asleep or one.lists.tools is None]
    for _, server in servers:
        if server.asleep:
            server.start()
    for name, _ in servers:
        await fleet.settled(name)
