"""Simulations run on virtual time, so minutes pass in milliseconds and always in the same order.

`rehearsal` plays what applications do with a server that has everything they may ask for, and handlers that
take their time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

import trunkline
from trunkline.runtime import assembly, layering
from trunkline.testing import Ask, FakeServer, required_error
from trunkline.testing.rehearsal import Family, Rehearsal, Scenario
from trunkline.testing.virtual_time import VirtualTimeLoop

DAY = {"day": {"type": "string"}}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


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


def make_server(family: Family, options: Mapping[str, Any]) -> FakeServer:
    settings = {"eras": [family], "watchable": True, "page_size": 2, "ttl_ms": 3_600_000, **options}
    server = FakeServer(**settings)
    for name in ("echo", "second", "third"):
        server.tool(name, reports="arguments")
    server.tool("busy", delay=3, progress=[(n, 3, None) for n in range(3)], returns="done")
    server.tool("slow", delay=3, returns="done")
    server.tool("form", asks=[Ask.form("day", "Which day?", DAY)], returns="told")
    server.tool("model", asks=[Ask.sample("say", "Say hello.", max_tokens=5)], returns="told")
    server.tool("page", asks=[Ask.visit("v", "Look here", "https://example.com/", "v0")], returns="told")
    server.tool("roots", asks=[Ask.roots()], returns="told")
    server.tool("guess", asks=[Ask("q", "vendor/guess", {})], returns="told")
    # More questions at once than handlers may run at once.
    server.tool("many", asks=[Ask.form(f"q{n}", "?", DAY) for n in range(12)], returns="told")
    server.resource("file:///a", "x" * 100)
    server.prompt("greet", "Hello")
    server.completion("greet", "name", ["Ada", "Alan"])
    if family == "legacy":
        add_page(server)
    return server


def add_page(server: FakeServer) -> None:
    """Add a tool that works once somebody has visited the page."""

    @server.tool
    def files() -> str:
        if not getattr(server, "visited", False):
            server.visited = True  # type: ignore[attr-defined]
            raise required_error(Ask.visit("v", "Log in", "https://example.com/login", "v1"))
        return "listed"


@pytest.fixture
def rehearsal(monkeypatch: pytest.MonkeyPatch, awaits: Any) -> Rehearsal:
    """Give what plays scenarios with this server and these handlers, the same way each time."""
    monkeypatch.setattr(assembly, "_draw", lambda: 0.5)
    return Rehearsal(awaits.source, make_server, HANDLERS)


@pytest.fixture
def rehearse(monkeypatch: pytest.MonkeyPatch, awaits: Any) -> Callable[[str, Mapping[str, Scenario]], None]:
    """Give what cuts scenarios wherever an area of `tests/awaits.toml` answers for it, and misses nothing."""
    monkeypatch.setattr(assembly, "_draw", lambda: 0.5)

    def rehearse(area: str, scenarios: Mapping[str, Scenario]) -> None:
        rehearsal = Rehearsal(awaits.source, make_server, HANDLERS, awaits.places_of(area))
        awaits.check(area, rehearsal.cut_everywhere(scenarios.values()))

    return rehearse


@pytest.fixture
def lots() -> Callable[[int], AbstractContextManager[tuple[pytest.MonkeyPatch, random.Random]]]:
    """Give a context in which what is drawn by lot follows from a seed; it gives a patch and what draws."""
    return _drawn_from


@contextmanager
def _drawn_from(seed: int) -> Iterator[tuple[pytest.MonkeyPatch, random.Random]]:
    draws, numbers = random.Random(seed + 1), iter(range(1, 1_000_000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "_draw", draws.random)
        patch.setattr(layering, "draw", draws.random)
        patch.setattr("os.urandom", lambda size: next(numbers).to_bytes(size, "big"))
        yield patch, draws


@pytest.fixture
def each_seed() -> Callable[[Callable[[int], Any], Iterable[int]], None]:
    """Give what plays one seed after the other, and names the one that fails."""

    def play(run: Callable[[int], Any], seeds: Iterable[int]) -> None:
        for seed in seeds:
            try:
                run(seed)
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise

    return play
