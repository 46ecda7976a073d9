"""Everything a trunk can be asked for, cut short at every place of the source where something waits.

Each scenario is rehearsed first, to see at which turn of the loop who waits where. Then it is played again
for as many of these turns as hold every place, and at that turn whoever asks is cancelled, or the server is
lost, or the trunk is closed. In the end no await of these packages may be left that was not cut in both ways.
What waits over a network or for a thread only is cut in `tests/faults/test_every_transport.py`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from msgspec.structs import replace

import trunkline
from trunkline.core.events import ListChanged, LogMessage
from trunkline.testing import Ask, FakeServer, Fault, required_error
from trunkline.testing.cutting import (
    Place,
    all_waiting_places,
    choose_turns,
    find_awaits,
    waiting_places,
)
from trunkline.testing.mortal import Mortal
from trunkline.testing.virtual_time import VirtualTimeLoop

A = "file:///a"
SOURCE = Path(trunkline.__file__).parent
PACKAGES = ("connection", "supervision")
MODULES = ("calls", "feed", "handle", "progress", "requests", "stream", "watching")
"""Of the package `runtime`."""
LONGEST = 10_000
"""Virtual seconds after which a scenario that was disturbed counts as hung."""

ELSEWHERE = {
    "connection/connection.py: await self._session.end()",
    "connection/connection.py: await self._session.restore('never_sent')",
    "connection/connection.py: await self._session.restore('refused', lost=lost.current)",
    "connection/connection.py: await self._tell(call)",
    "connection/connection.py: await self.link.notify(body)",
    "connection/connection.py: await self.link.request(encode())",
    "connection/connection.py: await negotiate(self.link, self.server, self._identity, 'legacy')",
    "connection/incoming.py: await self._link.notify(body)",
    "connection/negotiation.py: await _probe_http(probe, server, family)",
    "connection/negotiation.py: await link.notify(encode_notification('notifications/initialized'))",
    "connection/negotiation.py: await probe.discover()",
    "connection/negotiation.py: await probe.initialize()",
    "connection/session.py: await asyncio.shield(self._attempt)",
    "connection/session.py: await asyncio.wait({self._task})",
    "connection/session.py: await self._reopen()",
    "connection/workers.py: await outcome",
    "connection/workers.py: await result",
    "connection/workers.py: await self._run_in_thread(function, arguments)",
    "supervision/opening.py: await links[-1].close()",
    "supervision/opening.py: await opener()",
    "supervision/opening.py: await self._open(links, 'legacy', self._settings.open_link)",
    "supervision/subscribing.py: await self._prepare()",
    "supervision/ways.py: await connect('legacy', open_soon)",
    "supervision/ways.py: await connect('legacy', self._older)",
    "supervision/ways.py: await older()",
    "supervision/ways.py: await self._try(connect)",
    "supervision/ways.py: await self._try_older(connect, self._older, newer)",
}
"""What waits over a network or for a thread only: see `tests/faults/test_every_transport.py`."""

Family = Literal["legacy", "modern"]
Work = Callable[[trunkline.Trunk, Mortal], Awaitable[Any]]


class Scenario(NamedTuple):
    """Something an application does."""

    work: Work
    families: tuple[Family, ...] = ("legacy", "modern")
    arrange: Callable[[FakeServer], object] = lambda _: None
    options: Mapping[str, Any] = {}
    """Of the server."""
    policy: Mapping[str, Any] = {}
    handlers: trunkline.Handlers | None = None
    final: bool = False
    """Whether nothing works afterwards."""


def make_server(family: Family, options: Mapping[str, Any]) -> FakeServer:
    settings = {"eras": [family], "watchable": True, "page_size": 2, "ttl_ms": 3_600_000, **options}
    server = FakeServer(**settings)
    for name in ("echo", "second", "third"):
        server.tool(name, reports="arguments")
    server.tool("busy", delay=3, progress=[(n, 3, None) for n in range(3)], returns="done")
    server.tool("slow", delay=3, returns="done")
    day = {"day": {"type": "string"}}
    server.tool("form", asks=[Ask.form("day", "Which day?", day)], returns="told")
    server.tool("model", asks=[Ask.sample("say", "Say hello.", max_tokens=5)], returns="told")
    server.tool("page", asks=[Ask.visit("v", "Look here", "https://example.com/", "v0")], returns="told")
    server.tool("roots", asks=[Ask.roots()], returns="told")
    server.tool("guess", asks=[Ask("q", "vendor/guess", {})], returns="told")
    # More questions at once than handlers may run at once.
    server.tool("many", asks=[Ask.form(f"q{n}", "?", day) for n in range(12)], returns="told")
    server.resource(A, "x" * 100)
    server.prompt("greet", "Hello")
    server.completion("greet", "name", ["Ada", "Alan"])
    if family == "legacy":

        @server.tool
        def files() -> str:
            """Listed once somebody has visited the page."""
            if not getattr(server, "visited", False):
                server.visited = True  # type: ignore[attr-defined]
                raise required_error(Ask.visit("v", "Log in", "https://example.com/login", "v1"))
            return "listed"

    return server


async def answer_form(_: trunkline.ElicitRequest) -> trunkline.ElicitResult:
    await asyncio.sleep(0.2)
    return trunkline.ElicitResult.accept({"day": "today"})


async def answer_sample(_: object) -> dict[str, str]:
    await asyncio.sleep(0.2)
    return {"content": "hello", "model": "m"}


async def answer_roots(_: str) -> list[str]:
    await asyncio.sleep(0.2)
    return ["/srv"]


async def answer_guess(*_: object) -> dict[str, int]:
    await asyncio.sleep(0.2)
    return {"of": 6}


async def take_news(*_: object) -> None:
    await asyncio.sleep(0.2)


HANDLERS = trunkline.Handlers(
    elicit=answer_form,
    sample=answer_sample,
    roots=answer_roots,
    requests={"vendor/guess": answer_guess},
    notifications={"vendor/news": take_news},
)
PATIENT = replace(HANDLERS, limits=trunkline.HandlerLimits(concurrency=100))


async def call(trunk: trunkline.Trunk, _: Mortal) -> None:
    async def note(_: trunkline.Progress) -> None:
        await asyncio.sleep(0.5)

    await trunk.call("fake.busy", on_progress=note, timeout=60)
    await trunk.call("fake.slow", timeout=60, as_=str)


async def call_with_a_stuck_handler(trunk: trunkline.Trunk, _: Mortal) -> None:
    async def stick(_: trunkline.Progress) -> None:
        await asyncio.sleep(1_000)

    with suppress(trunkline.DeadlineExceededError):
        await trunk.call("fake.busy", on_progress=stick, timeout=5)


async def call_bare_names(trunk: trunkline.Trunk, _: Mortal) -> None:
    handle = trunk.start("third", timeout=60)
    await trunk.call_many([("echo", {"n": 1}), ("second", {"n": 2})], timeout=60)
    await handle
    await trunk.call_many([("fake.ghost", {}), ("fake.phantom", {}), ("fake.spirit", {})], timeout=60)


async def follow(trunk: trunkline.Trunk, _: Mortal) -> None:
    async for _event in trunk.stream("fake.busy", timeout=60):
        pass
    handle = trunk.start("fake.busy", timeout=60)
    async for _report in handle.progress:
        pass
    await handle
    await trunk.start("fake.slow", timeout=60)


async def read(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.read(A, timeout=60)
    async for _chunk in trunk.read_chunks(A, "fake", 60, chunk_bytes=32):
        pass


async def prompt(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.get_prompt("greet", timeout=60)


async def complete(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.complete("greet", "name", "A", timeout=60)


async def complete_uri(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.complete("file:///{name}", "name", "A", timeout=60)


async def ask_anything(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.request("fake", "tools/list", timeout=60, on_progress=lambda _: None)
    await trunk.request("fake", "tools/call", {"name": "slow"}, timeout=60)


async def tell(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.notify("fake", "vendor/news", timeout=60)


async def subscribe(trunk: trunkline.Trunk, peer: Mortal) -> None:
    async with await trunk.subscribe(A, timeout=60) as updates:
        peer.server.notify_resource(A)
        await anext(updates)
        peer.server.end_streams()
        peer.server.notify_resource(A)
        await anext(updates)
    await asyncio.sleep(1)


async def subscribe_in_vain(trunk: trunkline.Trunk, _: Mortal) -> None:
    with suppress(trunkline.CallError):
        await trunk.subscribe(A, "fake", timeout=60)
    await asyncio.sleep(1)


async def watch_logs(trunk: trunkline.Trunk, peer: Mortal) -> None:
    await trunk.ready()
    await trunk.set_log_level("info")
    await trunk.set_log_level("debug", "fake")
    events = trunk.events(LogMessage)
    peer.kill()
    await asyncio.sleep(5)
    await trunk.call("fake.echo", timeout=60)
    peer.server.notify_log("error", "something")
    async with asyncio.timeout(10):
        await anext(events)


async def watch_lists(trunk: trunkline.Trunk, peer: Mortal) -> None:
    await trunk.ready()
    events = trunk.events(ListChanged)
    for name in ("new", "newer"):
        peer.server.tool(name, returns="n")
        peer.server.notify_list("tools")
        async with asyncio.timeout(100):
            await anext(events)


async def list_again(trunk: trunkline.Trunk, peer: Mortal) -> None:
    await trunk.ready()
    before = len(peer.server.ledger.of("tools/list"))
    peer.server.notify_list("tools")
    await peer.server.wait_for(lambda ledger: len(ledger.of("tools/list")) > before, 60)
    await asyncio.sleep(1)


async def answer(trunk: trunkline.Trunk, _: Mortal) -> None:
    for tool in ("form", "model", "page", "roots", "guess"):
        await trunk.call(f"fake.{tool}", timeout=60)


async def answer_many(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.call("fake.many", timeout=60)


async def answer_out_of_nowhere(trunk: trunkline.Trunk, peer: Mortal) -> None:
    await trunk.ready()
    for _ in range(70):
        peer.server.ask(Ask.roots())
        peer.server.notify("vendor/news")
    await asyncio.sleep(5)


async def visit(trunk: trunkline.Trunk, peer: Mortal) -> None:
    loop = asyncio.get_running_loop()
    done = {"elicitationId": "v1"}
    loop.call_later(1.0, peer.server.notify, "notifications/elicitation/complete", done)
    await trunk.call("fake.files", timeout=60)


async def idle(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.ready()
    await asyncio.sleep(40)


async def add_and_remove(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.add("more", make_server("modern", {}))
    await trunk.ready("more", timeout=60)
    await trunk.remove("more")


async def connect(_: trunkline.Trunk, __: Mortal) -> None:
    async with trunkline.connect({"more": make_server("modern", {})}) as trunk:
        await trunk.ready()


async def end_early(trunk: trunkline.Trunk, _: Mortal) -> None:
    await asyncio.sleep(0.5)
    await trunk.aclose()


async def die_while_answering(trunk: trunkline.Trunk, peer: Mortal) -> None:
    await trunk.ready()
    for _ in range(70):
        peer.server.ask(Ask.roots())
    await asyncio.sleep(0.1)
    peer.kill()
    await asyncio.sleep(1)


async def die_while_listing(trunk: trunkline.Trunk, peer: Mortal) -> None:
    asyncio.get_running_loop().call_later(0.5, peer.kill)
    await trunk.ready()
    await asyncio.sleep(3)


async def end(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.ready()
    trunk.start("fake.busy", timeout=60)
    await asyncio.sleep(0.5)
    await trunk.aclose()


async def drain(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.ready()
    trunk.start("fake.slow", timeout=60)
    await asyncio.sleep(0.5)
    await trunk.drain(1.0)


def fault(target: str, what: Fault, **when: int) -> Callable[[FakeServer], object]:
    return lambda server: server.fault(target, what, **when)


def fill(server: FakeServer) -> None:
    for number in range(1_200):
        server.tool(f"t{number}")


def list_slowly(server: FakeServer) -> None:
    for method in ("resources/list", "prompts/list"):
        server.fault(method, Fault.delay(1), nth=1, times=2)


def complete_slowly(server: FakeServer) -> None:
    server.resource("file:///{name}")
    server.completion("file:///{name}", "name", ["Ada"])
    server.fault("resources/templates/list", Fault.delay(1))


LISTEN = "subscriptions/listen"
SCENARIOS = {
    "calls": Scenario(call),
    "calls bare names": Scenario(call_bare_names),
    "calls with a stuck handler": Scenario(call_with_a_stuck_handler, ("modern",)),
    "follows calls": Scenario(follow),
    "reads": Scenario(read, arrange=fault("resources/list", Fault.delay(1))),
    "prompts": Scenario(prompt, arrange=fault("prompts/list", Fault.delay(1))),
    "completes": Scenario(complete, arrange=fault("prompts/list", Fault.delay(1))),
    "completes a URI": Scenario(complete_uri, arrange=complete_slowly),
    "asks anything": Scenario(ask_anything),
    "tells": Scenario(tell),
    "subscribes": Scenario(subscribe),
    "subscribes in vain": Scenario(
        subscribe_in_vain, ("modern",), fault(LISTEN, Fault.rpc_error(-32601, "no such method"))
    ),
    "subscribes again": Scenario(
        subscribe, ("modern",), fault(LISTEN, Fault.hang, nth=1), policy={"defaults": {"connect": 5}}
    ),
    "subscribes again by request": Scenario(
        subscribe,
        ("legacy",),
        fault("resources/subscribe", Fault.hang, nth=1),
        policy={"defaults": {"connect": 5}},
    ),
    "watches logs": Scenario(watch_logs, ("legacy",)),
    "watches lists": Scenario(watch_lists),
    "watches long lists": Scenario(list_again, ("modern",), fill, {"page_size": None}),
    "lists anew": Scenario(
        list_again, ("modern",), fault("tools/list", Fault.rpc_error(-32602, "stale"), nth=8)
    ),
    "dies of a list": Scenario(idle, ("legacy",), fault("prompts/list", Fault.crash_before_reply, times=2)),
    "dies while listing": Scenario(die_while_listing, ("legacy",), list_slowly),
    "answers": Scenario(answer),
    "answers many": Scenario(answer_many),
    "answers out of nowhere": Scenario(answer_out_of_nowhere, ("legacy",), handlers=PATIENT),
    "dies while answering": Scenario(die_while_answering, ("legacy",), handlers=PATIENT),
    "visits": Scenario(visit, ("legacy",)),
    "idles": Scenario(idle),
    "goes silent": Scenario(idle, ("legacy",), fault("ping", Fault.hang)),
    "adds and removes": Scenario(add_and_remove, ("modern",)),
    "meets a silent server": Scenario(call, ("legacy",), options={"discover": "silent"}),
    "knows the legacy era": Scenario(call, ("legacy",), policy={"defaults": {"era": "legacy"}}),
    "knows the modern era": Scenario(call, ("modern",), policy={"defaults": {"era": "modern"}}),
    "connects": Scenario(connect, ("modern",)),
    "ends early": Scenario(end_early, ("legacy",), options={"discover": "silent"}, final=True),
    "ends": Scenario(end, final=True),
    "drains": Scenario(drain, final=True),
}


class Stage:
    """What a cut finds: the trunk, its server and the task of whoever asks."""

    def __init__(self, trunk: trunkline.Trunk, peer: Mortal, task: asyncio.Task[Any]) -> None:
        self.trunk = trunk
        self.peer = peer
        self.task = task
        self.closing: asyncio.Task[None] | None = None


def cancel(stage: Stage) -> frozenset[Place]:
    found = frozenset(waiting_places(stage.task, SOURCE))
    stage.task.cancel()
    return found


def lose_the_peer(stage: Stage) -> frozenset[Place]:
    found = all_waiting_places(stage.task.get_loop(), SOURCE)
    stage.peer.kill()
    return found


def close(stage: Stage) -> frozenset[Place]:
    found = all_waiting_places(stage.task.get_loop(), SOURCE)
    stage.closing = stage.task.get_loop().create_task(stage.trunk.aclose())
    return found


Cut = Callable[[Stage], frozenset[Place]]
CUTS: tuple[Cut, ...] = (cancel, lose_the_peer, close)
Look = Callable[[int, Stage], object]


class TurnLoop(VirtualTimeLoop):
    """Calls a function before each turn."""

    on_turn: Callable[[], object] = staticmethod(lambda: None)

    def _run_once(self) -> None:
        self.on_turn()
        super()._run_once()


async def play(scenario: Scenario, family: Family, look: Look) -> BaseException | None:
    """Play a scenario and give how it ended.

    Args:
        look: called before each turn of the loop with its number, for as long as the scenario lasts.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TurnLoop)
    peer = Mortal(make_server(family, scenario.options))
    scenario.arrange(peer.server)
    before = asyncio.all_tasks()
    handlers, policy = scenario.handlers or HANDLERS, dict(scenario.policy)
    async with trunkline.connect({"fake": peer}, handlers=handlers, policy=policy) as trunk:
        stage = Stage(trunk, peer, asyncio.ensure_future(scenario.work(trunk, peer)))
        turns = itertools.count()
        loop.on_turn = lambda: stage.task.done() or look(next(turns), stage)
        async with asyncio.timeout(LONGEST):
            outcome = (await asyncio.gather(stage.task, return_exceptions=True))[0]
            if stage.closing is not None:
                await stage.closing
            elif not scenario.final:
                await works_again(trunk)
    for _ in range(10):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    return outcome


async def works_again(trunk: trunkline.Trunk) -> None:
    """One of the next calls is answered: a start that failed is made again after a pause."""
    for _ in range(4):
        try:
            reply = await trunk.call("fake.echo", {"n": 2}, timeout=60)
        except trunkline.CallError:
            await asyncio.sleep(5)
        else:
            assert "2" in reply.text
            return
    raise AssertionError("it never worked again")


def run(scenario: Scenario, family: Family, look: Look) -> BaseException | None:
    with asyncio.Runner(loop_factory=TurnLoop) as runner:
        return runner.run(play(scenario, family, look))


def rehearse(scenario: Scenario, family: Family) -> list[tuple[frozenset[Place], frozenset[Place]]]:
    """Give, for each turn, where whoever asks waits, and where anybody does."""
    seen: list[tuple[frozenset[Place], frozenset[Place]]] = []

    def note(_: int, stage: Stage) -> None:
        seen.append(
            (frozenset(waiting_places(stage.task, SOURCE)), all_waiting_places(stage.task.get_loop(), SOURCE))
        )

    assert run(scenario, family, note) is None
    return seen


def play_cut(scenario: Scenario, family: Family, turn: int, cut: Cut) -> frozenset[Place]:
    """Cut a scenario at one turn; give where somebody was waiting."""
    found: frozenset[Place] = frozenset()

    def look(now: int, stage: Stage) -> None:
        nonlocal found
        if now == turn:
            found = cut(stage)

    outcome = run(scenario, family, look)
    allowed = (trunkline.CallError, asyncio.CancelledError, TimeoutError, StopAsyncIteration)
    assert outcome is None or isinstance(outcome, allowed), (cut, turn, outcome)
    return found


def play_all(name: str, choose: Callable[[list[frozenset[Place]]], Iterable[int]]) -> dict[Cut, set[Place]]:
    """Cut a scenario at the turns that are chosen, in every way; give where each one cut."""
    scenario = SCENARIOS[name]
    found: dict[Cut, set[Place]] = {cut: set() for cut in CUTS}
    for family in scenario.families:
        seen = rehearse(scenario, family)
        for cut in CUTS:
            for turn in choose([own if cut is cancel else every for own, every in seen]):
                found[cut] |= play_cut(scenario, family, turn, cut)
    return found


def uncut(cancelled: set[Place], lost: set[Place]) -> set[str]:
    """Name every await of these packages that was not cut in both ways."""
    paths = [path for package in PACKAGES for path in sorted((SOURCE / package).glob("*.py"))]
    paths += [SOURCE / "runtime" / f"{name}.py" for name in MODULES]
    found = [one for path in paths for one in find_awaits(path, SOURCE)]
    return {str(one) for one in found if not (one.is_among(cancelled) and one.is_among(lost))}


@pytest.mark.timeout(300)
def test_whatever_waits_can_be_cancelled_and_lose_its_peer():
    cancelled: set[Place] = set()
    lost: set[Place] = set()
    for name in SCENARIOS:
        found = play_all(name, choose_turns)
        cancelled |= found[cancel] | found[close]
        lost |= found[lose_the_peer]
    assert uncut(cancelled, lost) == ELSEWHERE


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_is_done_can_be_cut_at_every_turn(name: str):
    play_all(name, lambda turns: range(len(turns)))
