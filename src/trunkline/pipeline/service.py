"""The shape of the pipeline: services, layers, and the one order they may stand in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol

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


class Layer(Protocol):
    """A frozen settings record that wraps a service; its `repr` is its settings."""

    name: ClassVar[str]
    """Its place in `ORDER`."""

    def wrap(self, inner: Service) -> Service:
        """Give a service that does this layer's work around `inner`."""
        ...


def stack(layers: Sequence[Layer], dispatch: Service) -> Service:
    """Compose layers, given outermost first, around `dispatch`.

    Raises:
        ValueError: a layer stands twice or out of order.
    """
    places = [ORDER.index(layer.name) for layer in layers]
    if places != sorted(set(places)):
        names = ", ".join(layer.name for layer in layers)
        raise ValueError(f"layers must keep the order {', '.join(ORDER)}; got {names}")
    service = dispatch
    for layer in reversed(layers):
        service = layer.wrap(service)
    return service
