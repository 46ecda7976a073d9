"""The shape of the pipeline: services, layers, and the one order they may stand in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from trunkline.core.call import Call
from trunkline.core.reply import Reply

Service = Callable[[Call], Awaitable[Reply]]

ORDER = (
    "observe",
    "deadline",
    "audit",
    "authorize",
    "validate",
    "protect",
    "fallback",
    "cache",
    "coalesce",
    "retry",
    "route",
    "breaker",
    "limit",
)
"""Outermost first; `dispatch`, the innermost service, is given to `stack`.

observe sees every outcome, the deadline's among them. deadline bounds all that may wait. audit records
what was refused too. authorize comes before validate, which would tell a stranger what a tool takes.
protect reads valid arguments only. fallback covers what caching and retrying could not save. cache and
coalesce answer before anything is tried. retry asks route for an endpoint each time, and breaker and
limit count each try.
"""

POINTS = {"first": "deadline", "call": "validate", "attempt": "retry", "send": "limit"}
"""Where the application's own functions stand: each right inside of this layer, or of where it would be.

first: bounded in time, and seen by observe. call: arguments are valid from here on. attempt: each try of
a call. send: nothing of ours is left that could answer or refuse.
"""
_PLACES = {
    name: 2 * place + shift
    for place, layer in enumerate(ORDER)
    for shift, name in enumerate((layer, *(point for point, outer in POINTS.items() if outer == layer)))
}


class Layer(Protocol):
    """A frozen settings record that wraps a service; its `repr` is its settings."""

    @property
    def name(self) -> str:
        """Its place: one of `ORDER` or of `POINTS`."""
        ...

    def wrap(self, inner: Service) -> Service:
        """Give a service that does this layer's work around `inner`."""
        ...


def in_order(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """Give layers in the one order they may stand in."""
    return tuple(sorted(layers, key=lambda layer: _PLACES[layer.name]))


def stack(layers: Sequence[Layer], dispatch: Service) -> Service:
    """Compose layers, given outermost first, around `dispatch`.

    Raises:
        ValueError: a layer stands twice or out of order.
    """
    places = [_PLACES[layer.name] for layer in layers]
    if places != sorted(set(places)):
        names = ", ".join(layer.name for layer in layers)
        raise ValueError(f"layers must keep the order {', '.join(ORDER)}; got {names}")
    service = dispatch
    for layer in reversed(layers):
        service = layer.wrap(service)
    return service
