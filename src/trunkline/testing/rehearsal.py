"""Plays what an application does on virtual time: once whole, then cut short at turns of the loop.

    rehearsal = Rehearsal(source, serve)
    found = rehearsal.cut_everywhere([Scenario(work)])   # few turns, every place at which anybody waits
    missed = [one for one in find_awaits(path, source) if found.miss(one)]

The first play shows at which turn who waits where; the others are the same up to the cut.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from msgspec.structs import replace

import trunkline
from trunkline.core.handlers import Handlers
from trunkline.testing.cutting import Lookout, Place, choose_turns
from trunkline.testing.fake import FakeServer
from trunkline.testing.mortal import Mortal
from trunkline.testing.stage import (
    CUTS,
    Cut,
    Cuts,
    Stage,
    cancel,
    check_outcome,
    close,
    places_before,
    works_again,
)
from trunkline.testing.virtual_time import VirtualTimeLoop

Family = Literal["legacy", "modern"]
Work = Callable[[trunkline.Trunk, Mortal], Awaitable[Any]]
Serve = Callable[[Family, Mapping[str, Any]], FakeServer]
Look = Callable[[int, Stage], object]
Choose = Callable[[list[frozenset[Place]]], Iterable[int]]
"""Gives turns, by the places at which was waited at each."""

NONE = Handlers()
LONGEST = 10_000
"""Virtual seconds after which what was cut counts as hung."""


class Scenario(NamedTuple):
    """Something an application does with a trunk whose one server is `fake`."""

    work: Work
    families: tuple[Family, ...] = ("legacy", "modern")
    arrange: Callable[[FakeServer], object] = lambda _: None
    """What is done to the server before."""
    options: Mapping[str, Any] = {}
    """Of the server."""
    policy: Mapping[str, Any] = {}
    handlers: Mapping[str, Any] = {}
    """What is other than in the handlers of the rehearsal."""
    final: bool = False
    """Whether nothing works afterwards."""


class TurnLoop(VirtualTimeLoop):
    """Calls a function before each turn."""

    on_turn: Callable[[], object] = staticmethod(lambda: None)

    def _run_once(self) -> None:
        self.on_turn()
        super()._run_once()


class Rehearsal:
    """Plays scenarios with one kind of server.

    Args:
        source: whose awaits are looked at.
        serve: makes a server with a tool `echo` that reports its arguments.
        among: the places that count; None for all.
    """

    def __init__(
        self,
        source: Path,
        serve: Serve,
        handlers: Handlers = NONE,
        among: Collection[Place] | None = None,
    ) -> None:
        self._make_lookout = functools.partial(Lookout, source, among)
        self._serve = serve
        self._handlers = handlers

    def cut_everywhere(self, scenarios: Iterable[Scenario], choose: Choose = choose_turns) -> Cuts:
        """Cut scenarios in every way, at the turns that are chosen; give where that was.

        Each is cut only for places where none before it was, in a server of the same family.

        Raises:
            AssertionError: something was not as is promised after a cut; see `play`.
        """
        found: dict[Family, Cuts] = {"legacy": Cuts(), "modern": Cuts()}
        for scenario in scenarios:
            for family in scenario.families:
                self._cut(scenario, family, choose, found[family])
        found["legacy"].add(found["modern"])
        return found["legacy"]

    def _cut(self, scenario: Scenario, family: Family, choose: Choose, cuts: Cuts) -> None:
        seen = self._rehearse(scenario, family)
        for cut in CUTS:
            known = cuts.known_to(cut)
            for turn in choose([found[cut is not cancel] - known for found in seen]):
                self._play_cut(scenario, family, turn, cut, cuts)

    def play(self, scenario: Scenario, family: Family, look: Look) -> BaseException | None:
        """Play a scenario and give how it ended.

        Args:
            look: called before each turn of the loop with its number, for as long as the scenario lasts.

        Raises:
            AssertionError: it hung, a task was left, or the server could not be called afterwards.
        """
        with asyncio.Runner(loop_factory=TurnLoop) as runner:
            return runner.run(self._play(scenario, family, look))

    async def _play(self, scenario: Scenario, family: Family, look: Look) -> BaseException | None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, TurnLoop)  # noqa: S101 - see `play`
        unheard: list[Any] = []
        loop.set_exception_handler(lambda _, context: unheard.append(context))
        peer = Mortal(self._serve(family, scenario.options))
        scenario.arrange(peer.server)
        before = asyncio.all_tasks()
        handlers = replace(self._handlers, **scenario.handlers)
        with self._make_lookout().watching(loop) as lookout:
            async with trunkline.connect({"fake": peer}, handlers=handlers, policy=scenario.policy) as trunk:
                task = asyncio.ensure_future(scenario.work(trunk, peer))
                stage = Stage(trunk, peer.kill, task, [], lookout)
                turns = itertools.count()
                loop.on_turn = lambda: task.done() or look(next(turns), stage)
                outcome = await _end(stage, final=scenario.final)
        for _ in range(10):
            await asyncio.sleep(0)
        if left := asyncio.all_tasks() - before:
            raise AssertionError(f"it left {left}")
        if unheard:
            raise AssertionError(f"nobody heard of {unheard}")
        return outcome if isinstance(outcome, BaseException) else None

    def _rehearse(
        self, scenario: Scenario, family: Family
    ) -> list[tuple[frozenset[Place], frozenset[Place]]]:
        """Give, for each turn, where whoever asks waits, and where anybody does."""
        seen: list[tuple[frozenset[Place], frozenset[Place]]] = []

        def note(_: int, stage: Stage) -> None:
            own, every = (places_before(cut, stage) for cut in (cancel, close))
            seen.append((own, every))

        outcome = self.play(scenario, family, note)
        if outcome is not None:
            raise AssertionError("it fails when nobody cuts it") from outcome
        return seen

    def _play_cut(self, scenario: Scenario, family: Family, turn: int, cut: Cut, cuts: Cuts) -> None:
        """Cut a scenario at one turn; note where somebody was waiting."""

        def look(now: int, stage: Stage) -> None:
            if now == turn:
                cuts.places[cut] |= places_before(cut, stage)
                # What is cancelled from now on is for this cut.
                stage.lookout.cancelled = cuts.cancelled
                cut(stage)

        check_outcome(self.play(scenario, family, look))


async def _end(stage: Stage, *, final: bool) -> Any:
    """Give how it ended, once the server could be called again."""
    try:
        async with asyncio.timeout(LONGEST):
            outcome = (await asyncio.gather(stage.task, return_exceptions=True))[0]
            if stage.closing:
                await stage.closing[0]
            elif not final:
                await works_again(stage.trunk, "fake.echo", patience=60, pause=5, tries=4)
    except TimeoutError:
        raise AssertionError("it hung") from None
    return outcome
