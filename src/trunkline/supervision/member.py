"""One connection of a server that may have several: its supervisor, what it is given, how well it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from trunkline.core.call import Call
from trunkline.core.events import ServerChanged
from trunkline.core.ewma import PeakEwma
from trunkline.core.health import Health
from trunkline.core.status import MemberStatus
from trunkline.errors import OutcomeUnknownError, UnavailableError
from trunkline.supervision.ejection import Ejection
from trunkline.supervision.features import Features
from trunkline.supervision.outcome import speaks_against
from trunkline.supervision.supervisor import Supervisor

_ASIDE = 5.0
"""Seconds for which others are preferred after a call could not reach it, unless it answers before."""
_RANKS = {"ready": 0, "degraded": 2}
_EJECTED = 3


class Member:
    """One connection, as its pool sees it. A `Candidate` of `choosing`."""

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        endpoint: int = 0,
        spare: bool = False,
        identity: str = "",
        ejections: Sequence[Ejection] = (),
    ) -> None:
        settings = supervisor.settings
        self.supervisor = supervisor
        self.name = settings.member or "1"
        self.endpoint = endpoint
        self.weight = settings.weight
        self.spare = spare
        self.load = 0
        self.leased = False
        self.sour = False
        self.used = 0.0
        """Moment of the last call's end."""
        self.ejection = Ejection(settings.ejection, ejections)
        self._features = Features()
        self._identity = identity
        self.latency = PeakEwma()
        self._aside_until = 0.0
        self._loop = asyncio.get_running_loop()

    @property
    def rank(self) -> int | None:
        """See `Candidate`."""
        if self.supervisor.live is None or (rank := _RANKS.get(self.supervisor.state)) is None:
            return None
        now = self._loop.time()
        if self.ejection.is_out(now):
            return _EJECTED
        return 1 if rank == 0 and now < self._aside_until else rank

    @property
    def trying(self) -> bool:
        """See `Candidate`."""
        return self.supervisor.is_trying()

    @property
    def startable(self) -> bool:
        """See `Candidate`."""
        return self.rank is None and self.supervisor.may_start()

    @property
    def asleep(self) -> bool:
        """Whether it is not connected because nobody wants it; a spare one that was lost is not wanted."""
        supervisor = self.supervisor
        return supervisor.asleep or (self.spare and supervisor.state == "stopped" and not self.trying)

    @property
    def stateless(self) -> bool:
        """Whether every request to it stands alone; not before that is known."""
        live = self.supervisor.live
        return live is not None and live.link.kind == "http" and live.agreed.era.family == "modern"

    @property
    def busy(self) -> bool:
        """Whether it may not answer health checks only because it works; over HTTP that is no reason."""
        live = self.supervisor.live
        return self.supervisor.state == "degraded" and live is not None and live.link.kind != "http"

    @property
    def quiet(self) -> bool:
        """Whether nothing is in flight, whoever sent it, and nobody waits to send."""
        live = self.supervisor.live
        return not self.load and not self.supervisor.awaited and (live is None or not live.calls)

    def set_aside(self) -> None:
        """A call could not reach it: look into it, and prefer others meanwhile."""
        self._aside_until = self._loop.time() + _ASIDE
        self.supervisor.suspect()

    def take(self) -> None:
        """A call is given to it."""
        now = self._loop.time()
        if not self.load:
            self.latency.silent_since = now
        self.load += 1
        self.ejection.take(now)

    def succeed(self, sent: float) -> None:
        """A call that was given to the connection at this moment was answered."""
        now = self._loop.time()
        self._aside_until = 0.0
        self.ejection.succeed(now)
        self.latency.add(now - sent, now)

    def fail(self, sent: float, call: Call, error: BaseException) -> None:
        """A call failed, or was given up: that may speak against this connection."""
        now = self._loop.time()
        call.flight.tried += (self.name,)
        if isinstance(error, UnavailableError | OutcomeUnknownError):
            self.set_aside()
        self.latency.fail(now - sent, now)
        spread = self.stateless or call.flight.plan is not None
        if speaks_against(error, call, now, spread=spread):
            self.ejection.fail(now)

    def note(self, event: ServerChanged) -> None:
        """Learn from a change of state."""
        if event.state == "ready":
            self.sour = False
            self._aside_until = 0.0
            self.used = self._loop.time()
        elif event.before == "connecting":
            self.sour = event.state != "stopped"

    def health(self) -> Health:
        """Give what a strategy chooses by."""
        settings, live = self.supervisor.settings, self.supervisor.live
        agreed = None if live is None else live.agreed
        return Health(
            name=self._identity,
            spare=self.spare,
            place=self.endpoint,
            rank=self.rank,
            load=self.load,
            weight=self.weight,
            latency=self.latency.read(self._loop.time(), load=self.load),
            region=settings.region,
            tags=settings.tags,
            features=self._features.read(agreed),
            era="" if agreed is None else agreed.era.revision,
            version="" if agreed is None else str(agreed.server_info.get("version", "")),
        )

    def status(self) -> MemberStatus:
        """Say how it is doing."""
        settings, status = self.supervisor.settings, self.supervisor.status()
        return MemberStatus(
            name=self.name,
            state=status.state,
            healthy=self.rank == 0 and not self.ejection.out,
            since=status.since,
            endpoint=settings.shown,
            region=settings.region,
            weight=settings.weight,
            calls=self.load,
            leased=self.leased,
            era=status.era,
            restarts=status.restarts,
            last_error=status.last_error,
            retry_in=status.retry_in,
            latency_ms=status.latency_ms,
            ejected=self.ejection.out,
            tags=settings.tags,
        )
