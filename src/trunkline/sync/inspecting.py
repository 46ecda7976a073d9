"""The half of the blocking front door for questions about the runtime itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TypeVar

from trunkline.core.journal import LogLine
from trunkline.core.why import Why
from trunkline.runtime.inspecting import Inspecting as AsyncInspecting
from trunkline.runtime.trunk import Trunk as AsyncTrunk
from trunkline.supervision.restarting import Restarted
from trunkline.sync.loop_thread import LoopThread
from trunkline.sync.mirror import mirrors
from trunkline.telemetry.journal import Journal

Value = TypeVar("Value")


class Inspecting:
    """What `Trunk` knows of itself; it sets the attributes below."""

    _trunk: AsyncTrunk
    _thread: LoopThread

    @property
    @mirrors(AsyncInspecting.journal)
    def journal(self) -> Journal:
        return self._trunk.journal

    @mirrors(AsyncInspecting.logs)
    def logs(self, server: str | None = None, *, most: int | None = None) -> tuple[LogLine, ...]:
        return self._thread.ask(lambda: self._trunk.logs(server, most=most))

    @mirrors(AsyncInspecting.follow_logs)
    def follow_logs(self, server: str | None = None) -> Generator[LogLine, None, None]:
        return self._steps(self._trunk.follow_logs(server))

    @mirrors(AsyncInspecting.why)
    def why(self, word: str) -> Why:
        return self._thread.ask(lambda: self._trunk.why(word))

    @mirrors(AsyncInspecting.restart)
    def restart(self, server: str, *, grace: float = 5.0, timeout: float | None = None) -> Restarted:
        return self._thread.run(lambda: self._trunk.restart(server, grace=grace, timeout=timeout))

    def _steps(self, events: AsyncGenerator[Value, None]) -> Generator[Value, None, None]:
        raise NotImplementedError
