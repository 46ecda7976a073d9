"""One pipeline for each tool: compiled from what policy says of it when it is first called, then kept."""

from __future__ import annotations

from msgspec.structs import replace

from trunkline.config.policy import Policy
from trunkline.core.call import Call
from trunkline.pipeline.fallback import Ask, ask_nothing
from trunkline.pipeline.service import Layer, Service, stack
from trunkline.pipeline.validate import Validate
from trunkline.pipeline.verdict import Safety
from trunkline.runtime.collecting import Window, collect
from trunkline.runtime.interpret import Interpreter
from trunkline.runtime.inventory import Inventory
from trunkline.runtime.layering import Layering, Subject, Variant
from trunkline.runtime.mirror import mirror_headers
from trunkline.runtime.tasks import SeeOff, Tasks
from trunkline.runtime.tool_lists import ToolLists
from trunkline.supervision.fleet import Fleet

_MOST_STACKS = 4096


class Stacks:
    """Compiles stacks and keeps them until the policy, the servers or the middleware change."""

    def __init__(
        self,
        fleet: Fleet,
        inventory: Inventory,
        policy: Policy,
        layering: Layering,
        see_off: SeeOff,
        ask: Ask = ask_nothing,
    ) -> None:
        self._fleet = fleet
        self._inventory = inventory
        self._policy = policy
        self._layering = layering
        self._lists = ToolLists(fleet, inventory)
        self._tasks = Tasks(fleet, inventory, see_off)
        self._interpret = Interpreter(fleet, inventory).dispatch
        self._ask = ask
        self._windows: dict[str, Window] = {}
        self._kept: dict[tuple[str, str | None], Service] = {}
        self._variants: dict[tuple[str, str, str], Service] = {}

    def forget(self) -> None:
        """Compile anew from the next call on."""
        self._windows = {name: one for name, one in self._windows.items() if name in self._fleet.servers}
        self._kept.clear()
        self._variants.clear()

    def adopt(self, policy: Policy) -> None:
        """Follow another policy from the next call on."""
        self._policy = policy
        self._layering.adopt(policy)
        self.forget()

    def of_tool(self, server: str, tool: str) -> Service:
        """Give the pipeline of a tool, named as its server names it."""
        return self._kept.get((server, tool)) or self._keep(server, tool, self._compile(server, tool))

    def falling(self, server: str, tool: str) -> Service:
        """Give the pipeline of a tool for callers who say what is to be tried if it fails."""
        return self._variant("falling", server, tool)

    def once(self, server: str, tool: str) -> Service:
        """Give the pipeline of a tool for calls that are tried elsewhere before they are tried again."""
        return self._variant("once", server, tool)

    def safety(self, call: Call) -> Safety:
        """Say what is known of repeating a call of a tool by an equal one of another server."""
        return self._subject(call.server, call.name).safety(call, elsewhere=True)

    def of_server(self, server: str) -> Service:
        """Give the pipeline of all that is no tool."""
        kept = self._kept.get((server, None))
        if kept is None:
            layers = self._layering.layers(self._subject(server, None))
            kept = self._keep(server, None, stack(layers, self._interpret))
        return kept

    def describe(self, server: str, tool: str | None = None) -> tuple[Layer, ...]:
        """Give the layers of a pipeline, outermost first; their `repr` is their settings."""
        return self._layers(server, tool)

    def _variant(self, kind: Variant, server: str, tool: str) -> Service:
        if (kept := self._variants.get((kind, server, tool))) is None:
            if len(self._variants) >= _MOST_STACKS:
                self._variants.clear()
            kept = self._variants[kind, server, tool] = self._compile(server, tool, kind=kind)
        return kept

    def _keep(self, server: str, tool: str | None, service: Service) -> Service:
        if len(self._kept) >= _MOST_STACKS:
            self._kept.clear()
        self._kept[server, tool] = service
        return service

    def _compile(self, server: str, tool: str, *, kind: Variant = "") -> Service:
        supervisor = self._fleet.get(server)
        dispatch: Service = self._fleet.call
        if (window := self._window(server)) is not None:
            dispatch = collect(window, dispatch)
        if supervisor is not None and supervisor.settings.transport == "http":
            dispatch = mirror_headers(self._inventory, dispatch, self._lists.relist)
        return stack(self._layers(server, tool, kind=kind), self._tasks.follow(dispatch))

    def _window(self, server: str) -> Window | None:
        """Give the collecting window that all tools of a server share, or None where there is none."""
        settings, window = self._policy.for_server(server).batch, self._windows.get(server)
        if not settings.milliseconds or settings.size < 2:
            return None
        if window is None or window.settings != settings:
            window = self._windows[server] = Window(settings)
        return window

    def _layers(self, server: str, tool: str | None, *, kind: Variant = "") -> tuple[Layer, ...]:
        subject = self._subject(server, tool, kind=kind)
        if subject.of_tool is None or not subject.of_tool.validate:
            return self._layering.layers(subject)
        validate = Validate(known=self._inventory.tool, find=self._lists.find)
        if subject.falls_back:
            # What stands in for an answer must not wait for the list of a server that is down.
            return self._layering.layers(replace(subject, check=validate), replace(validate, defers=True))
        return self._layering.layers(subject, validate)

    def _subject(self, server: str, tool: str | None, *, kind: Variant = "") -> Subject:
        return Subject(
            server=server,
            tool=tool or "",
            of_server=self._policy.for_server(server),
            of_tool=None if tool is None else self._policy.for_tool(server, tool),
            known=self._inventory.tool,
            ask=self._ask,
            variant=kind,
        )
