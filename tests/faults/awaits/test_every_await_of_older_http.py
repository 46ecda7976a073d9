"""Whatever waits because of HTTP+SSE, cut short at every such place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import trunkline
from trunkline.testing.network import Proxy
from trunkline.testing.player import RealScenario
from trunkline.testing.stage import Lose

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

BREAKING = {"ids": True, "retry_ms": 1, "cut_after": 8, "delay": 0.001}
"""A server whose stream ends after some messages and can be taken up."""


async def read_many_lines(trunk: trunkline.Trunk, _: Lose) -> None:
    await trunk.call("fake.echo", {f"k{n}": n for n in range(150)}, timeout=10)


def over_sse(places: Any, *, known: bool, **options: Any) -> Any:
    entry = {"type": "sse"} if known else {}
    return places.behind(lambda: places.make_server("legacy").sse(**options), **entry)


def becoming_newer(places: Any) -> Any:
    """A server of the older transport, in whose place there is one of the newer once its line is cut."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[Any]:
        server = places.make_server("legacy")
        async with (
            server.sse() as older,
            server.http(path="/sse") as newer,
            Proxy(places.port_of(older)) as proxy,
        ):

            def replace() -> None:
                proxy._target = "127.0.0.1", places.port_of(newer)
                proxy.cut()

            yield {"url": f"http://127.0.0.1:{proxy.port}/sse"}, replace

    return serve


def in_pieces(places: Any) -> Any:
    """A server that says something to each post, in pieces."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[Any]:
        async with (
            places.make_server("legacy").sse(**BREAKING) as url,
            aiohttp.ClientSession() as client,
            places.on_a_port(make_relay(url, client)) as port,
            places.proxied(f"http://127.0.0.1:{port}/sse", type="sse") as found,
        ):
            yield found

    return serve


def make_relay(url: str, client: aiohttp.ClientSession) -> web.Application:
    async def post(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        async with client.post(f"{url.removesuffix('/sse')}{request.path}", data=body) as taken:
            response = web.StreamResponse(status=taken.status)
        await response.prepare(request)
        for _ in range(2):
            await asyncio.sleep(0.001)
            await response.write(b"Accepted")
        return response

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        headers = {name: request.headers[name] for name in ("Last-Event-ID",) if name in request.headers}
        await response.prepare(request)
        with suppress(aiohttp.ClientError):
            async with client.get(url, headers=headers) as source:
                async for chunk in source.content.iter_any():
                    await response.write(chunk)
        return response

    app = web.Application()
    app.router.add_get("/sse", stream)
    app.router.add_post("/messages/{number}", post)
    return app


async def listen(trunk: trunkline.Trunk, _: Lose) -> None:
    """Stay for long enough that a slow machine, too, has more comments than are read as they come."""
    await trunk.ready()
    await asyncio.sleep(0.1)


def make_scenarios(places: Any, works: Any) -> dict[str, dict[str, RealScenario]]:
    breaking = over_sse(places, known=True, **BREAKING)
    pieces = in_pieces(places)
    return {
        "legacy": {
            "breaking": RealScenario(breaking, works.use),
            "questions": RealScenario(breaking, works.answer),
            "much": RealScenario(breaking, works.send_much),
            "many lines": RealScenario(over_sse(places, known=True, lines=150), read_many_lines),
            "tiresome": RealScenario(over_sse(places, known=True, tiresome=True), listen),
            "pieces": RealScenario(pieces, works.start),
            "pieces, to their end": RealScenario(pieces, works.end, final=True),
            "deaf end": RealScenario(breaking, works.end_before_the_deaf, final=True),
            "securely": RealScenario(places.securely(breaking), works.start_in_vain, final=True),
            "to be found out": RealScenario(over_sse(places, known=False), works.start_again),
            "becoming newer": RealScenario(becoming_newer(places), works.start_again),
        }
    }


async def test_whatever_waits_over_http_and_sse_can_be_cancelled_and_lose_its_server(
    cutter: Any, places: Any, works: Any
):
    await cutter.cut("older", make_scenarios(places, works))


@pytest.mark.soak
async def test_all_of_http_and_sse_can_be_cut_wherever_anything_waits(cutter: Any, places: Any, works: Any):
    await cutter.cut_all(make_scenarios(places, works))
