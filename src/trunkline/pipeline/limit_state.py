"""Who may run, who waits and who is turned away: pure, told the time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from trunkline.core.limit import LimitSettings, LimitStatus
from trunkline.errors import RejectedError
from trunkline.pipeline.adaptive_limit import AdaptiveLimit
from trunkline.pipeline.bucket import Bucket
from trunkline.pipeline.fair_queue import FairQueue
from trunkline.pipeline.limit_refusal import LimitFacts, Refusal, Whose, refuse

_START: Final = 10
"""What an adaptive limit begins with where nothing is said."""
_MOST_SHARES: Final = 4096
_SMOOTHING: Final = 0.1


class Entry:
    """One call on its way through a limiter."""

    __slots__ = ("began", "principal", "priority", "refusal", "running", "share", "since", "waiter")

    def __init__(self, principal: str, priority: int, since: float) -> None:
        self.principal = principal
        self.priority = priority
        self.since = since
        """Moment at which it arrived."""
        self.began = since
        """Moment at which it was let through."""
        self.running = False
        self.refusal: RejectedError | None = None
        """Why it was turned away."""
        self.share: Share | None = None
        """What its principal has of the limits, where principals have limits of their own."""
        self.waiter: object = None
        """The shell's own."""


class Share:
    """What one principal has of the limits."""

    __slots__ = ("bucket", "running")

    def __init__(self, bucket: Bucket | None) -> None:
        self.running = 0
        self.bucket = bucket

    def is_idle(self, now: float) -> bool:
        """Whether it is as if its principal had never called."""
        return not self.running and (self.bucket is None or self.bucket.is_full(now))


class LimitState:
    """Lets calls through, holds them in the line, or turns them away.

    Args:
        whose: whose calls they are, for the words of errors.
    """

    def __init__(self, settings: LimitSettings, whose: Whose = "server") -> None:
        self._whose = whose
        self.running = 0
        self.rejected = 0
        self._line: FairQueue[Entry] = FairQueue(settings.queue)
        self._held = 0.0
        """How long calls run, in the mean of the last ones; 0 before any has ended."""
        self._shares: dict[str, Share] = {}
        self._adaptive: AdaptiveLimit | None = None
        self._bucket: Bucket | None = None
        self.settings = LimitSettings()
        self.adjust(settings)

    def adjust(self, settings: LimitSettings) -> None:
        """Go by other settings from now on; who runs or waits stays, and what no other setting is about."""
        before, self.settings = self.settings, settings
        self._line.most = settings.queue
        if _adaptive_part(before) != _adaptive_part(settings):
            self._adaptive = AdaptiveLimit(*_adaptive_part(settings)[1:]) if settings.adaptive else None
        if (before.rate, before.burst) != (settings.rate, settings.burst):
            self._bucket = _bucket(settings.rate, settings.burst)
        rate, burst = settings.principal_rate, settings.principal_burst
        if (before.principal_rate, before.principal_burst) != (rate, burst):
            for share in self._shares.values():
                share.bucket = _bucket(rate, burst)

    @property
    def concurrency(self) -> float:
        """Calls that may run now; infinity for any number."""
        if self._adaptive is not None:
            return self._adaptive.limit
        return self.settings.concurrency or math.inf

    def arrive(self, now: float, principal: str, priority: int, patience: float) -> tuple[Entry, ...]:
        """Take in a call: it runs now, waits, or has a refusal.

        Args:
            patience: seconds it can wait at most.

        Returns:
            Its entry; then that of one which had to make room for it, where one had to.
        """
        entry = Entry(principal, priority, now)
        if self._may_run(now) and self._may_go(principal, now) and not self._anybody_may_go(now):
            self._run(entry, now)
            return (entry,)
        own = len(self._line) if self._bucket is not None else 0
        wait = self._rate_wait(now, principal, own)
        most = min(patience, self.settings.queue_timeout or math.inf)
        if wait and (wait > most or not self.settings.queue):
            own = self._share_wait(now, principal) >= wait
            entry.refusal = self._refuse("rate_limited", wait, own=own)
            return (entry,)
        full = len(self._line) >= self.settings.queue
        victim = self._line.push(entry)
        if victim is not None:
            drain = self._drain(now, victim.principal)
            victim.refusal = self._refuse("queue_full", drain, own=not full)
            return (entry,) if victim is entry else (entry, victim)
        return (entry,)

    def serve(self, now: float) -> Iterator[Entry]:
        """Let through those whose turn it is."""
        while len(self._line) and self._may_run(now):
            entry = self._line.pop(lambda principal: self._may_go(principal, now))
            if entry is None:
                return
            self._run(entry, now)
            yield entry

    def leave(self, now: float, entry: Entry, *, answered: bool, overloaded: bool, waited: float) -> None:
        """A call that was let through has ended.

        Args:
            answered: whether its end tells how fast the server is.
            overloaded: whether it failed as calls do that an overloaded server cannot serve.
            waited: seconds of its time that it spent waiting elsewhere on our side.
        """
        if self._adaptive is not None and (answered or overloaded):
            began = entry.began + waited
            self._adaptive.sample(now, began, self.running, overloaded=overloaded)
        if answered or overloaded:
            held = now - entry.began
            self._held = held if not self._held else self._held + _SMOOTHING * (held - self._held)
        self.running -= 1
        entry.running = False
        if (share := entry.share) is not None:
            share.running -= 1
            if share.is_idle(now) and self._shares.get(entry.principal) is share:
                del self._shares[entry.principal]

    def give_up(self, now: float, entry: Entry, *, timed_out: bool) -> None:
        """One who waits does so no longer."""
        self._line.remove(entry)
        if timed_out:
            entry.refusal = self._refuse("queue_timeout", self._drain(now, entry.principal))

    def due(self, now: float) -> float | None:
        """Give the next moment at which the rate lets one through who waits; None where no rate holds any."""
        if not len(self._line) or self.running >= self.concurrency:
            return None
        waits = [self._rate_wait(now, principal, 0) for principal in self._line.principals()]
        soonest = min((wait for wait in waits if wait), default=None)
        return None if soonest is None else now + soonest

    def phase(self) -> str:
        """Say what those who wait are waiting for."""
        limit = self.concurrency
        if self.running >= limit:
            return f"waiting for its turn: {self.running} running, as many as may"
        return f"waiting for its turn: {len(self._line)} wait for the rate, or their principal's share"

    def status(self) -> LimitStatus:
        """Say how it is doing."""
        limit = self.concurrency
        return LimitStatus(
            running=self.running,
            waiting=len(self._line),
            concurrency=None if limit == math.inf else int(limit),
            rejected=self.rejected,
        )

    def _may_run(self, now: float) -> bool:
        return self.running < self.concurrency and (self._bucket is None or not self._bucket.wait(now))

    def _may_go(self, principal: str, now: float) -> bool:
        share = self._shares.get(principal)
        if share is None:
            return True
        most = self.settings.principal_concurrency
        return not (0 < most <= share.running) and (share.bucket is None or not share.bucket.wait(now))

    def _anybody_may_go(self, now: float) -> bool:
        return len(self._line) > 0 and self._line.has(lambda principal: self._may_go(principal, now))

    def _rate_wait(self, now: float, principal: str, behind: int) -> float:
        of_all = 0.0 if self._bucket is None else self._bucket.wait(now, behind)
        return max(self._share_wait(now, principal), of_all)

    def _share_wait(self, now: float, principal: str) -> float:
        share = self._shares.get(principal)
        return 0.0 if share is None or share.bucket is None else share.bucket.wait(now)

    def _run(self, entry: Entry, now: float) -> None:
        settings = self.settings
        entry.running, entry.began = True, now
        self.running += 1
        if self._bucket is not None:
            self._bucket.take(now)
        if not (settings.principal_concurrency or settings.principal_rate):
            return
        share = self._shares.get(entry.principal)
        if share is None:
            share = self._add_share(entry.principal, now)
        entry.share = share
        share.running += 1
        if share.bucket is not None:
            share.bucket.take(now)

    def _add_share(self, principal: str, now: float) -> Share:
        if len(self._shares) >= _MOST_SHARES:
            for name, share in tuple(self._shares.items()):
                if share.is_idle(now):
                    del self._shares[name]
        bucket = _bucket(self.settings.principal_rate, self.settings.principal_burst)
        share = self._shares[principal] = Share(bucket)
        return share

    def _drain(self, now: float, principal: str) -> float:
        """Estimate the seconds until half of those who wait now have been served."""
        half = len(self._line) // 2
        by_slots = self._held * (1 + half / max(1.0, min(self.concurrency, self.running or 1)))
        return max(by_slots, self._rate_wait(now, principal, half), 0.05)

    def _refuse(self, code: Refusal, wait: float, *, own: bool = False) -> RejectedError:
        self.rejected += 1
        waiting = len(self._line)
        facts = LimitFacts(self._whose, self.running, waiting, self.settings.queue_timeout, own)
        return refuse(code, facts, wait)


def _adaptive_part(settings: LimitSettings) -> tuple[bool, int, int, int]:
    start = settings.concurrency or _START
    return settings.adaptive, start, settings.adaptive_min, settings.adaptive_max


def _bucket(rate: float, burst: int) -> Bucket | None:
    return Bucket(rate, burst) if rate else None
