"""Waiting until servers are ready or failed, with those that sleep until they are used, or without.

`lazy` changes when a server is connected, never what a name means: a bare name is unique only if no
server that may have it was left out.
"""

from __future__ import annotations

from trunkline.supervision.fleet import Fleet


async def settle_awake(fleet: Fleet) -> None:
    """Wait until every server that has been wanted is ready or failed."""
    for _, server in tuple(fleet):
        if not server.asleep:
            await server.settled()


async def settle_all(fleet: Fleet) -> None:
    """Wait until it is known of each server what it lists, or that it failed; connect who was never asked."""
    servers = [server for _, server in fleet if not server.asleep or server.lists.tools is None]
    for server in servers:
        if server.asleep:
            server.start()
    for server in servers:
        await server.settled()
