"""How one server is doing: its state, since when and why, told to whoever watches when it changes."""

from __future__ import annotations

import asyncio
import logging

from trunkline.core.events import EventSink, ServerChanged
from trunkline.core.status import State
from trunkline.errors import TrunklineError
from trunkline.supervision.failure import describe
from trunkline.supervision.states import Trigger, after
from trunkline.telemetry.escape import escape_text

logger = logging.getLogger("trunkline.supervision")

_LEVELS = {"failed": logging.WARNING, "degraded": logging.WARNING}


class Condition:
    """The state of one server; only its supervisor changes it."""

    def __init__(self, server: str, events: EventSink, member: str = "") -> None:
        self._server = server
        self._label = f"{server} ({member})" if member else server
        self._events = events
        self._loop = asyncio.get_running_loop()
        self.state: State = "stopped"
        self.since = self._loop.time()
        """Moment at which the state began."""
        self.error: TrunklineError | None = None
        """Why the server is not well, or None."""
        self.lives = 0
        """How often it became ready, but for the times after which it was closed because nobody used it."""
        self.idled = 0
        """How often it was closed because nobody used it."""

    @property
    def restarts(self) -> int:
        """How often it became ready again after it was lost."""
        return max(0, self.lives - 1)

    def change(self, trigger: Trigger, error: TrunklineError | None = None) -> None:
        """Go where this leads; watchers are told if that is another state.

        Raises:
            ValueError: it cannot happen in this state.
        """
        before, self.state = self.state, after(self.state, trigger)
        if trigger == "opened":
            self.lives += 1
        elif trigger == "idle":
            self.lives -= 1
            self.idled += 1
        if self.state == "ready":
            self.error = None
        elif error is not None:
            self.error = error
        if self.state == before:
            return
        self.since = self._loop.time()
        reason = describe(error) if error is not None else None
        if reason is not None:
            line = escape_text(f"{self._label}: {self.state}: {reason}")
            logger.log(_LEVELS.get(self.state, logging.INFO), "%s", line, extra={"server": self._server})
        self._events.put(
            ServerChanged(
                server=self._server, state=self.state, before=before, reason=reason, restarts=self.restarts
            )
        )
