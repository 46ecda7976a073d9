"""The layers of one runtime: which ones calls of a tool need, and what several stacks share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from trunkline.config.policy import Policy
from trunkline.config.settings import ServerPolicy, ToolPolicy
from trunkline.core.budget import Budget
from trunkline.core.call import Call
from trunkline.core.events import EventSink
from trunkline.core.tool import Tool
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.fallback import Ask, Fallback, ask_nothing
from trunkline.pipeline.idempotency import keyed
from trunkline.pipeline.middleware import Middleware, Own, own_layers
from trunkline.pipeline.observe import Observe
from trunkline.pipeline.retry import Retry
from trunkline.pipeline.route import Route
from trunkline.pipeline.service import Layer, in_order
from trunkline.pipeline.verdict import Safety, safety_of
from trunkline.runtime.caching import Caching
from trunkline.runtime.guards import Guards

Variant = Literal["", "falling", "once"]
"""What is special about the calls of a stack. `falling`: callers give alternatives of their own. `once`: they
are tried elsewhere before they are tried again."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a stack is for: the calls of one tool, or all others of one server."""

    server: str
    tool: str
    """The server's own name of the tool; "" for what is no tool."""
    of_server: ServerPolicy
    of_tool: ToolPolicy | None
    """What policy says of the tool, or None for what is no tool."""
    known: Callable[[str], Tool | None]
    """Gives the tool of a public name at once, where it is listed."""
    ask: Ask = ask_nothing
    """Makes a call of another tool in place of one that failed."""
    variant: Variant = ""
    check: Layer | None = None
    """What checks arguments within the layer that can do without the server, where there is one."""

    @property
    def falls_back(self) -> bool:
        """Whether something may be given in place of an answer."""
        return self.variant == "falling" or (self.of_tool is not None and bool(self.of_tool.fallback))

    @property
    def public_name(self) -> str:
        """What middleware is matched against."""
        return f"{self.server}.{self.tool}" if self.tool else self.server

    def safety(self, call: Call, *, elsewhere: bool = False) -> Safety:
        """Say what is known of repeating a call.

        Args:
            elsewhere: by another tool or server, which knows nothing of the key that this one was given.
        """
        rules, tool = self.of_tool or ToolPolicy(), self.known(call.public_name)
        if call.detach:
            return "once"
        return safety_of(
            call.method,
            {} if tool is None else tool.annotations,
            trusted=self.of_server.trust,
            read_only=rules.read_only,
            idempotent=rules.idempotent or (bool(rules.idempotency_key) and not elsewhere),
        )


class Layering:
    """Makes layers and owns what they share; a layer that is not configured is not made."""

    def __init__(
        self,
        observe: Observe,
        guards: Guards,
        middleware: Sequence[Middleware] = (),
        caching: Caching | None = None,
    ) -> None:
        self._observe = observe
        self._deadline = Deadline()
        self._guards = guards
        self._caching = caching
        self._budgets: dict[str, Budget] = {}
        self.middleware = tuple(middleware)
        """The application's own functions; a change holds for stacks made from then on."""

    @property
    def events(self) -> EventSink:
        """Where events go."""
        return self._observe.events

    def draw(self) -> float:
        """Give a random number from 0 to 1."""
        return draw()

    def layers(self, subject: Subject, *more: Layer) -> tuple[Layer, ...]:
        """Give the layers for a subject, in order, together with those that only routes can make."""
        made = (
            self._observe,
            self._deadline,
            *more,
            *self._own(subject),
            self._fallback(subject),
            *(() if self._caching is None else self._caching.layers(subject, self.events)),
            self._retry(subject),
            self._route(subject),
            self._guards.breaker_layer(subject.server, subject.tool, subject.of_server, subject.of_tool),
            self._guards.limit_layer(subject.server, subject.tool, subject.of_server, subject.of_tool),
        )
        return in_order(layer for layer in made if layer is not None)

    def adopt(self, policy: Policy) -> None:
        """Follow another policy at once."""
        self._guards.adopt(policy)

    def forget(self, servers: Sequence[str]) -> None:
        """Drop what is kept of any server but these."""
        for name in self._budgets.keys() - set(servers):
            del self._budgets[name]
        self._guards.forget(servers)

    def _own(self, subject: Subject) -> tuple[Own, ...]:
        own = [one for one in self.middleware if one.is_for(subject.public_name)]
        if subject.of_tool is not None and (argument := subject.of_tool.idempotency_key):
            own.append(Middleware(function=keyed(argument, _draw_key), at="first"))
        return own_layers(own, subject.public_name)

    def _retry(self, subject: Subject) -> Retry | None:
        settings = (subject.of_tool or subject.of_server).retry
        if settings.attempts <= 1 or subject.variant == "once":
            return None
        return Retry(settings=settings, budget=self._budget(subject), safety=subject.safety, draw=draw)

    def _budget(self, subject: Subject) -> Budget:
        of_server = subject.of_server.retry
        budget = self._budgets.get(subject.server)
        if budget is None:
            budget = self._budgets[subject.server] = Budget()
        budget.adjust(of_server.budget, of_server.budget_per_second)
        return budget

    def _route(self, subject: Subject) -> Route | None:
        rules = subject.of_tool
        if rules is None or (rules.route.is_plain and not rules.hedge.is_on):
            return None
        return Route(
            settings=rules.route,
            hedging=rules.hedge,
            draw=draw,
            may_hedge=lambda call: subject.safety(call) == "read",
            budget=self._budget(subject),
        )

    def _fallback(self, subject: Subject) -> Fallback | None:
        rules = subject.of_tool
        if rules is None or not subject.falls_back:
            return None
        return Fallback(
            alternatives=rules.fallback,
            on=frozenset(rules.fallback_on),
            ask=subject.ask,
            is_repeatable=lambda call: subject.safety(call, elsewhere=True) != "once",
            events=self._observe.events,
            check=subject.check,
        )


def draw() -> float:
    """Give a random number from 0 to 1."""
    return int.from_bytes(os.urandom(4)) / 2**32


def _draw_key() -> str:
    """Give a key that no other call has: 128 random bits."""
    return os.urandom(16).hex()
