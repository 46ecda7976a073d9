"""Route: says which replica each attempt of a call goes to, and asks a second one where the first is slow.

It only chooses: the attempt takes the first place of its plan that can be had when it has its turn.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import ClassVar

import msgspec

from trunkline.core.budget import Budget
from trunkline.core.call import Call, Plan
from trunkline.core.health import Health
from trunkline.core.reply import Reply
from trunkline.core.routing import HedgeSettings, RouteSettings
from trunkline.errors import UnavailableError
from trunkline.pipeline.hedge import hedge
from trunkline.pipeline.service import Service
from trunkline.pipeline.strategies import Draw, arrange

BY_ARGUMENT = "argument:"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the layer."""

    name: ClassVar[str] = "route"

    settings: RouteSettings = RouteSettings()
    hedging: HedgeSettings = HedgeSettings()
    draw: Draw = lambda: 0.5
    """Gives a number from 0 to 1, drawn anew each time."""
    may_hedge: Callable[[Call], bool] = lambda _: False
    """Whether a call can be made twice without harm; asked for every call, as lists change."""
    budget: Budget | None = None
    """What second requests are charged to; None for no bound but their share."""

    def wrap(self, inner: Service) -> Service:
        """Give each attempt its plan; `inner` is called once, and with hedging at most twice."""
        service = inner if self.settings.is_plain else self._planned(inner)
        if self.hedging.is_on:
            service = hedge(service, self.hedging, self.may_hedge, self.budget)
        return service

    def _planned(self, inner: Service) -> Service:
        plan_of = planner(self.settings, self.draw, itertools.count())

        def route(call: Call) -> Awaitable[Reply]:
            call.flight.plan = plan_of(call)
            return inner(call)

        return route


def planner(settings: RouteSettings, draw: Draw, turns: Iterator[int]) -> Callable[[Call], Plan]:
    """Give what makes the plan of each call.

    Args:
        turns: numbers that grow, for replicas that are alike.
    """

    def plan_of(call: Call) -> Plan:
        key = key_of(call, settings.by) if settings.strategy == "sticky" else ""

        def plan(replicas: Sequence[Health]) -> Sequence[int]:
            places = arrange(settings, replicas, key=key, draw=draw, turn=next(turns))
            if not places:
                raise no_replica(call, settings)
            return places

        return plan

    return plan_of


def key_of(call: Call, by: str) -> str:
    """Give what `sticky` goes by; a call that lacks the argument goes by its principal."""
    name = by.removeprefix(BY_ARGUMENT)
    if name != by and name in call.arguments:
        value = msgspec.json.encode(call.arguments[name], order="sorted")
        return f"argument {value.decode()}"
    return f"principal {call.principal.name}"


def no_replica(call: Call, settings: RouteSettings) -> UnavailableError:
    """Give the error of a call that no replica can do."""
    return UnavailableError(
        f"no replica has all that this call needs: {', '.join(settings.needs)}",
        code="no_capable_replica",
        server=call.server or None,
        tool=call.public_name,
        retryable=False,
        hint="See what each has with `trunkline status`, or change `needs` of the route.",
    )
