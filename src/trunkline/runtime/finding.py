"""Which server a URI, a template or a prompt's name leads to, once that can be known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from trunkline.catalog.names import split_name
from trunkline.catalog.resources import find_server, find_template
from trunkline.config.policy import Policy
from trunkline.errors import DeadlineExceededError, NotFoundError
from trunkline.protocol.lists import Kind
from trunkline.runtime.inventory import Inventory
from trunkline.security.uris import without_secrets
from trunkline.supervision.fleet import Fleet

Found = TypeVar("Found")

_READABLE: tuple[Kind, ...] = ("resources", "templates")


class Finding:
    """Finds the server of what is named without one; every wait is bounded."""

    def __init__(
        self, fleet: Fleet, inventory: Inventory, policy: Policy, settled: Callable[[], Awaitable[None]]
    ) -> None:
        self._fleet = fleet
        self._inventory = inventory
        self._policy = policy
        self._settled = settled

    async def server_of(self, uri: str, timeout: float | None) -> str:  # noqa: ASYNC109 - see `Trunk.call`
        """Give the one server to read a URI from; see `trunkline.catalog.resources.find_server`.

        Raises:
            AmbiguousNameError, NotFoundError: there is no one server.
            DeadlineExceededError: what servers list was not known in time.
        """
        return await self._find(uri, "resource", _READABLE, timeout, lambda: self._server_of(uri))

    async def template_server(self, template: str, timeout: float | None) -> str:  # noqa: ASYNC109
        """Give the one server that lists this template, or that has the resource if it is a URI.

        Raises:
            AmbiguousNameError, NotFoundError, DeadlineExceededError: as `server_of`.
        """

        def find() -> str:
            found = find_template(template, self._inventory.catalog().templates)
            return self._server_of(template) if found is None else found

        return await self._find(template, "template", _READABLE, timeout, find)

    async def prompt(self, name: str, timeout: float | None) -> tuple[str, str]:  # noqa: ASYNC109
        """Give server and own name of a prompt: a public name's at once, a bare one's when it is unique.

        Raises:
            AmbiguousNameError, NotFoundError, DeadlineExceededError: as `server_of`.
        """
        if (pair := split_name(name, self._fleet.servers)) is not None:
            return pair

        def find() -> tuple[str, str]:
            prompt = self._inventory.catalog().resolve_prompt(name)
            return prompt.server, prompt.name

        return await self._find(name, "prompt", ("prompts",), timeout, find)

    async def _find(
        self,
        name: str,
        what: str,
        kinds: tuple[Kind, ...],
        timeout: float | None,  # noqa: ASYNC109
        find: Callable[[], Found],
    ) -> Found:
        """Look once all lists are read; before nothing found counts, they are read once more."""
        allowed = self._policy.for_server("").timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(allowed):
                await self._settled()
                for _, supervisor in tuple(self._fleet):
                    await supervisor.lists.settled(kinds)
                try:
                    return find()
                except NotFoundError:
                    await self._read_again(kinds)
                return find()
        except TimeoutError:
            raise self._late(name, what, kinds) from None

    async def _read_again(self, kinds: Iterable[Kind]) -> None:
        async with asyncio.TaskGroup() as group:
            for _, supervisor in tuple(self._fleet):
                for kind in kinds:
                    if supervisor.live is not None and supervisor.lists.offers(kind):
                        group.create_task(supervisor.lists.refresh(kind))

    def _server_of(self, uri: str) -> str:
        catalog = self._inventory.catalog()
        return find_server(
            uri,
            catalog.resources,
            catalog.templates,
            offering=[name for name, supervisor in self._fleet if supervisor.lists.offers("resources")],
            unknown=[
                name
                for name, supervisor in self._fleet
                if supervisor.lists.failures(_READABLE) or supervisor.status().state == "failed"
            ],
        )

    def _late(self, name: str, what: str, kinds: tuple[Kind, ...]) -> DeadlineExceededError:
        late = [
            server
            for server, supervisor in self._fleet
            if supervisor.status().state == "connecting" or set(supervisor.lists.pending()) & set(kinds)
        ]
        waited = f"still listing: {', '.join(late)}" if late else "the lists were still being read again"
        return DeadlineExceededError(
            f"which server has this {what} is not known yet: {waited}",
            tool=without_secrets(name) if "://" in name else name,
            retryable=True,
            hint="Name the server: then its list is not waited for.",
        )
