"""Middleware, for code that does not await; the functions themselves do, on the trunk's own thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trunkline.pipeline.middleware import Function, Point
from trunkline.pipeline.service import Layer
from trunkline.runtime.around import Around as AsyncAround
from trunkline.runtime.trunk import Trunk as AsyncTrunk
from trunkline.sync.loop_thread import LoopThread
from trunkline.sync.mirror import mirrors


class Around:
    """What `Trunk` does with middleware; it sets the attributes below."""

    _trunk: AsyncTrunk
    _thread: LoopThread

    @mirrors(AsyncAround.use)
    def use(
        self, function: Function, *, at: Point = "call", tools: str | Iterable[str] = "*"
    ) -> Callable[[], None]:
        remove = self._thread.ask(lambda: self._trunk.use(function, at=at, tools=tools))
        return lambda: self._thread.ask(remove)

    @mirrors(AsyncAround.layers)
    def layers(self, server: str, tool: str | None = None) -> tuple[Layer, ...]:
        return self._thread.ask(lambda: self._trunk.layers(server, tool))
