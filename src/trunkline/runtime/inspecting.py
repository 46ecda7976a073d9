"""The half of the front door for questions about the runtime itself: journal, logs, why, restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from trunkline.config.loading import Config
from trunkline.config.policy import Policy
from trunkline.core.journal import LogLine
from trunkline.core.status import ServerStatus
from trunkline.errors import DeadlineExceededError
from trunkline.runtime.insight import Insight
from trunkline.runtime.inventory import Inventory
from trunkline.runtime.tool_lists import no_server
from trunkline.supervision.fleet import Fleet
from trunkline.supervision.restarting import Restarted
from trunkline.telemetry.journal import Journal

if TYPE_CHECKING:
    from trunkline.core.why import Why


class Inspecting:
    """What `Trunk` knows of itself; it sets the attributes below when it is entered."""

    config: Config
    _policy: Policy
    _fleet: Fleet
    _insight: Insight
    _inventory: Inventory

    @property
    def journal(self) -> Journal:
        """The calls that run and the last 1,000 that ended, without arguments and results.

        `journal.calls()` gives them, `journal.find(call_id)` one of them, as `CallRecord`.
        """
        return self._insight.journal

    def logs(self, server: str | None = None, *, most: int | None = None) -> tuple[LogLine, ...]:
        """Give what servers said lately, oldest first: standard error, log messages, and their states.

        Of each server at most 1,000 lines and 256 Ki characters are kept, safe to show.

        Args:
            server: lines of this one only; it may be one that was removed.
            most: no more than so many, the newest.
        """
        return self._insight.logs.lines(None if server is None else (server,), most=most)

    def follow_logs(self, server: str | None = None) -> AsyncGenerator[LogLine, None]:
        """Give each line that servers say from now on, for `async for`, which you end.

        A reader slower than its servers misses the oldest lines; `LogLine.count` shows the gap.
        """
        return self._insight.logs.follow(None if server is None else (server,))

    def why(self, word: str) -> Why:
        """Explain why a call ended as it did, a server is in its state, or a tool is there or not.

        Args:
            word: a call's id, as in `reply.call_id` and `error.call_id`; a server; or a tool's name.

        Raises:
            NotFoundError: it has the form of a call's id, and no such call is known.
        """
        from trunkline.runtime.why import Knowledge, explain_why

        known = Knowledge(
            journal=self.journal,
            statuses=self.status(),
            catalog=self._inventory.catalog(),
            warnings=self._inventory.warnings(),
            disabled=self.config.disabled,
            groups=self._policy.groups,
        )
        return explain_why(word, known)

    async def restart(
        self,
        server: str,
        *,
        grace: float = 5.0,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Restarted:
        """Start a server anew; returns when it is ready. New calls wait for that.

        Its process, or its connection to a URL, is given up once the calls in flight have ended, and what
        happened to it before counts no more against it. One that is being started is waited for.

        Args:
            grace: seconds that calls in flight get to end; then they fail with `OutcomeUnknownError`.
            timeout: seconds for all of it; without it the grace and the server's connect timeout.

        Raises:
            NotFoundError: there is no such server.
            UnavailableError: it could not be started.
            DeadlineExceededError: `timeout` passed first; the restart goes on.
        """
        supervisor = self._fleet.get(server)
        if supervisor is None:
            raise no_server(server, self._fleet)
        self._insight.logs.add(server, "state", f"restart asked for, with {grace:g} s for calls in flight")
        try:
            async with asyncio.timeout(timeout):
                report = await supervisor.restart(grace)
                await self._ready_one(server)
        except TimeoutError:
            raise DeadlineExceededError(
                f"it was not ready again within {timeout:g} s",
                server=server,
                retryable=True,
                hint="The restart goes on; `trunk.status()` says how far it is.",
            ) from None
        return report

    def status(self) -> dict[str, ServerStatus]:
        """Say how each server is doing."""
        raise NotImplementedError

    async def _ready_one(self, server: str) -> None:
        raise NotImplementedError
