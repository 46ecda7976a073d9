"""Breakers in the hand of an operator, for code that does not await."""

from __future__ import annotations

from trunkline.core.breaker import BreakerStatus
from trunkline.runtime.breakers import Breakers as AsyncBreakers
from trunkline.runtime.breakers import BreakerSwitch as AsyncBreakerSwitch
from trunkline.runtime.trunk import Trunk as AsyncTrunk
from trunkline.sync.loop_thread import LoopThread
from trunkline.sync.mirror import mirrors


class BreakerSwitch:
    """The breaker of one server or tool, in the hand of an operator."""

    def __init__(self, thread: LoopThread, switch: AsyncBreakerSwitch) -> None:
        self.name = switch.name
        """The server, or the public name of the tool."""
        self._thread = thread
        self._switch = switch

    @property
    @mirrors(AsyncBreakerSwitch.status)
    def status(self) -> BreakerStatus:
        return self._thread.ask(lambda: self._switch.status)

    @mirrors(AsyncBreakerSwitch.force_open)
    def force_open(self) -> None:
        self._thread.ask(self._switch.force_open)

    @mirrors(AsyncBreakerSwitch.force_closed)
    def force_closed(self) -> None:
        self._thread.ask(self._switch.force_closed)

    @mirrors(AsyncBreakerSwitch.reset)
    def reset(self) -> None:
        self._thread.ask(self._switch.reset)

    def __repr__(self) -> str:
        return repr(self._switch)


class Breakers:
    """What `Trunk` does with breakers; it sets the attributes below."""

    _trunk: AsyncTrunk
    _thread: LoopThread

    @mirrors(AsyncBreakers.breaker)
    def breaker(self, name: str) -> BreakerSwitch:
        return BreakerSwitch(self._thread, self._thread.ask(lambda: self._trunk.breaker(name)))
