"""The part of the front door by which an application puts functions of its own around calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from trunkline.pipeline.middleware import Function, Middleware, Point
from trunkline.pipeline.service import POINTS, Layer
from trunkline.runtime.layering import Layering
from trunkline.runtime.routes import Routes


class Around:
    """What `Trunk` does with middleware and layers; it sets the attributes below when it is entered."""

    _layering: Layering
    _routes: Routes

    def use(
        self, function: Function, *, at: Point = "call", tools: str | Iterable[str] = "*"
    ) -> Callable[[], None]:
        """Put a function around calls from the next one on; give what takes it away again.

        `async def mw(call, next): return await next(call)` runs in the caller's task, within the call's
        deadline. It may change the call or the reply, not call `next` at all, or raise a CallError. Of
        several at one point the first is the outermost.

        Args:
            at: `first` (each call as it was asked), `call` (its arguments are valid), `attempt` (each try) or
                `send` (right before it is sent).
            tools: names or globs of `server.tool`; of what is no tool, of the server.

        Raises:
            ValueError: there is no such point.
        """
        (one,) = middleware_of([Middleware(function=function, at=at, tools=_names(tools))])
        self._layering.middleware = (*self._layering.middleware, one)
        self._routes.forget()

        def remove() -> None:
            self._layering.middleware = tuple(own for own in self._layering.middleware if own is not one)
            self._routes.forget()

        return remove

    def layers(self, server: str, tool: str | None = None) -> tuple[Layer, ...]:
        """Give the layers that calls of a tool pass, outermost first; without a tool those of all else."""
        return self._routes.stacks.describe(server, tool)


def middleware_of(given: Iterable[Middleware | Function]) -> tuple[Middleware, ...]:
    """Give each as a record; a bare function stands at the point `call` for everything.

    Raises:
        TypeError: one is no function.
        ValueError: a point is none.
    """
    if callable(given):
        raise TypeError(f"`middleware` takes a list of functions, not {given!r} alone")
    made = tuple(one if isinstance(one, Middleware) else Middleware(function=one) for one in given)
    for one in made:
        if not callable(one.function):
            raise TypeError(f"middleware is a function `async def mw(call, next)`, not {one.function!r}")
        if one.at not in POINTS:
            raise ValueError(f"there is no point {one.at!r} for middleware; there are: {', '.join(POINTS)}")
    return tuple(replace(one, tools=_names(one.tools)) for one in made)


def _names(tools: str | Iterable[str]) -> tuple[str, ...]:
    return (tools,) if isinstance(tools, str) else tuple(tools)
