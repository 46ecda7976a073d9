"""One pipeline for each tool: compiled from what policy says of it when it is first called, then kept."""

from __future__ import annotations

from trunkline.config.policy import Policy
from trunkline.pipeline.service import Layer, Service, stack
from trunkline.pipeline.validate import Validate
from trunkline.runtime.collecting import Window, collect
from trunkline.runtime.interpret import Interpreter
from trunkline.runtime.inventory import Inventory
from trunkline.runtime.layering import Layering, Subject
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
    ) -> None:
        self._fleet = fleet
        self._inventory = inventory
        self._policy = policy
        self._layering = layering
        self._lists = ToolLists(fleet, inventory)
        self._tasks = Tasks(fleet, inventory, see_off)
        self._interpret = Interpreter(fleet, inventory).dispatch
        self._windows: dict[str, Window] = {}
        self._kept: dict[tuple[str, str | None], Service] = {}

    def forget(self) -> None:
        """Compile anew from the next call on."""
        self._windows = {name: one for name, one in self._windows.items() if name in self._fleet.servers}
        self._kept.clear()

    def adopt(self, policy: Policy) -> None:
        """Follow another policy from the next call on."""
        self._policy = policy
        self.forget()

    def of_tool(self, server: str, tool: str) -> Service:
        """Give the pipeline of a tool, named as its server names it."""
        return self._kept.get((server, tool)) or self._keep(server, tool, self._compile(server, tool))

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

    def _keep(self, server: str, tool: str | None, service: Service) -> Service:
        if len(self._kept) >= _MOST_STACKS:
            self._kept.clear()
        self._kept[server, tool] = service
        return service

    def _compile(self, server: str, tool: str) -> Service:
        supervisor = self._fleet.get(server)
        dispatch: Service = self._fleet.call
        if (window := self._window(server)) is not None:
            dispatch = collect(window, dispatch)
        if supervisor is not None and supervisor.settings.transport == "http":
            dispatch = mirror_headers(self._inventory, dispatch, self._lists.relist)
        return stack(self._layers(server, tool), self._tasks.follow(dispatch))

    def _window(self, server: str) -> Window | None:
        """Give the collecting window that all tools of a server share, or None where there is none."""
        settings, window = self._policy.for_server(server).batch, self._windows.get(server)
        if not settings.milliseconds or settings.size < 2:
            return None
        if window is None or window.settings != settings:
            window = self._windows[server] = Window(settings)
        return window

    def _layers(self, server: str, tool: str | None) -> tuple[Layer, ...]:
        subject = self._subject(server, tool)
        if subject.of_tool is None or not subject.of_tool.validate:
            return self._layering.layers(subject)
        return self._layering.layers(subject, Validate(known=self._inventory.tool, find=self._lists.find))

    def _subject(self, server: str, tool: str | None) -> Subject:
        return Subject(
            server=server,
            tool=tool or "",
            of_server=self._policy.for_server(server),
            of_tool=None if tool is None else self._policy.for_tool(server, tool),
            known=self._inventory.tool,
        )
