"""HTTP+SSE, the transport of 2024-11-05: its endpoint, its one stream, and what happens when that breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer
from trunkline.testing.streams import Quirks, StreamServer, serve_streams

pytestmark = pytest.mark.anyio
ONE_TRY = {"defaults": {"retry": {"attempts": 1}}}


def offering() -> FakeServer:
    server = FakeServer(eras=["legacy"])
    server.tool("echo", reports="arguments")
    server.tool("slow", delay=0.05, returns="done")
    server.tool("long", delay=30)
    return server


@asynccontextmanager
async def served(**quirks: Any) -> AsyncIterator[tuple[FakeServer, StreamServer]]:
    server = offering()
    async with serve_streams(server, Quirks(**quirks)) as streams:
        yield server, streams


def connect(streams: StreamServer, kind: str | None = "sse", **options: Any) -> trunkline.Trunk:
    entry = {"url": f"{streams.origin}/sse", "headers": {"X-Key": "k"}}
    return trunkline.connect({"older": entry | ({"type": kind} if kind else {})}, **options)


@pytest.mark.parametrize("endpoint", ["relative", "absolute"])
async def test_messages_are_posted_to_the_endpoint_with_the_headers_of_the_entry(endpoint: str):
    async with served(endpoint=endpoint) as (_, streams), connect(streams) as trunk:
        reply = await trunk.call("older.echo", {"n": 1})
        assert (reply.value, reply.transport, reply.era) == ({"n": 1}, "sse", "2025-11-25")
        assert trunk.status()["older"].transport == "sse"
        assert {one["X-Key"] for one in (*streams.headers, *streams.posts)} == {"k"}
        assert streams.headers[0]["Accept"] == "text/event-stream"


async def test_no_request_is_sent_before_the_endpoint():
    """One of the classic mistakes: posting to the URL of the stream, or to nowhere."""
    async with served(endpoint="late") as (server, streams), connect(streams) as trunk:
        assert (await trunk.call("older.echo", {"n": 1})).value == {"n": 1}
        assert next(iter(server.ledger)).method == "initialize"
        assert trunk.status()["older"].restarts == 0


async def test_a_stream_that_never_names_an_endpoint_fails_at_the_connect_limit():
    async with served(endpoint="none") as (server, streams):
        async with connect(streams, policy={"defaults": {"connect": 0.3}}) as trunk:
            with pytest.raises(trunkline.UnavailableError) as caught:
                await trunk.call("older.echo")
        assert (caught.value.code, caught.value.delivery) == ("no_endpoint", "never_sent")
        assert streams.posts == []
        assert len(server.ledger) == 0


async def test_an_endpoint_of_another_origin_is_never_posted_to():
    async with served(endpoint="foreign") as (_, streams), connect(streams) as trunk:
        with pytest.raises(trunkline.UnavailableError, match="endpoint of another origin"):
            await trunk.call("older.echo")
        assert streams.posts == []


async def test_a_message_may_be_spread_over_several_lines():
    async with served(lines=3) as (_, streams), connect(streams) as trunk:
        assert (await trunk.call("older.echo", {"a": 1, "b": [2]})).value == {"a": 1, "b": [2]}


async def test_a_stream_that_broke_is_taken_up_where_it_ended():
    async with served(ids=True, retry_ms=1, cut_after=2) as (server, streams), connect(streams) as trunk:
        await trunk.ready()
        assert (await trunk.call("older.slow")).text == "done"
        assert [one.get("Last-Event-ID") for one in streams.headers] == [None, "2"]
        assert len(server.calls) == 1
        assert trunk.status()["older"].restarts == 0


async def test_a_stream_without_ids_that_broke_fails_what_was_in_flight_and_is_opened_anew():
    async with served(cut_after=2) as (server, streams), connect(streams) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.OutcomeUnknownError) as caught:
            await trunk.call("older.slow")
        assert caught.value.delivery == "unknown"
        assert (await trunk.call("older.echo", {"n": 1})).value == {"n": 1}
        assert trunk.status()["older"].restarts == 1
        assert len(server.ledger.of("initialize")) == 2


async def test_a_post_to_a_forgotten_stream_was_refused_and_the_next_call_opens_another():
    async with served() as (server, streams), connect(streams, policy=ONE_TRY) as trunk:
        await trunk.ready()
        (session,) = streams.sessions.values()
        streams.sessions.clear()
        with pytest.raises(trunkline.UnavailableError) as caught:
            await trunk.call("older.echo", {"n": 1})
        assert (caught.value.delivery, caught.value.status) == ("refused", 404)
        assert (await trunk.call("older.echo", {"n": 2})).value == {"n": 2}
        assert [call.arguments for call in server.calls] == [{"n": 2}]
        await session.frames.end()


@pytest.mark.parametrize(
    ("status", "kind"), [(401, "authorization_required"), (500, "outcome_unknown"), (413, "protocol_error")]
)
async def test_a_post_that_is_not_taken_fails_its_call_alone(status: int, kind: str):
    async with served() as (_, streams), connect(streams) as trunk:
        await trunk.ready()
        before = len(streams.posts)
        slow = asyncio.create_task(trunk.call("older.slow"))
        async with asyncio.timeout(10):
            while len(streams.posts) == before:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0)
        streams.quirks = streams.quirks._replace(status=status)
        with pytest.raises(trunkline.CallError) as caught:
            await trunk.call("older.echo")
        assert (caught.value.code, caught.value.status) == (kind, status)
        streams.quirks = streams.quirks._replace(status=202)
        assert (await slow).text == "done"
        assert (await trunk.call("older.echo", {"n": 1})).value == {"n": 1}


async def test_a_url_is_tried_as_the_newer_transport_first_and_what_it_is_is_remembered():
    async with served(cut_after=2) as (server, streams), connect(streams, kind=None) as trunk:
        await trunk.ready()
        assert trunk.status()["older"].transport == "sse"
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("older.slow")
        tried = len(streams.headers)
        assert (await trunk.call("older.echo", {"n": 1})).transport == "sse"
        assert len(streams.headers) == tried + 1
        assert [one.method for one in server.ledger][:2] == [
            "initialize",
            "notifications/initialized",
        ]


async def test_a_server_of_neither_transport_is_explained_by_the_newer_one():
    async with serve_streams(offering(), Quirks()) as streams:
        entry = {"url": f"{streams.origin}/nowhere"}
        async with trunkline.connect({"older": entry}) as trunk:
            with pytest.raises(trunkline.UnavailableError) as caught:
                await trunk.call("older.echo")
    assert "HTTP 404" in str(caught.value)


async def test_a_modern_pin_is_never_downgraded():
    async with served() as (server, streams):
        async with connect(streams, policy={"defaults": {"era": "modern"}}) as trunk:
            with pytest.raises(trunkline.UnavailableError, match="a legacy revision"):
                await trunk.call("older.echo")
        assert len(server.ledger) == 0


async def test_a_url_whose_server_was_replaced_by_one_of_the_newer_transport_goes_on_without_an_error():
    async with served(cut_after=2) as (server, streams), connect(streams, kind=None) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("older.slow")
        await streams.stop()
        newer = await server.listen(port=streams.port, path="/sse")
        try:
            reply = await trunk.call("older.echo", {"n": 1})
            assert (reply.value, reply.transport) == ({"n": 1}, "http")
            assert trunk.status()["older"].transport == "http"
        finally:
            await newer.stop()


async def test_an_endpoint_of_another_origin_is_told_of_also_where_the_transport_was_found_out():
    async with served(endpoint="foreign") as (_, streams), connect(streams, kind=None) as trunk:
        with pytest.raises(trunkline.UnavailableError, match="endpoint of another origin"):
            await trunk.call("older.echo")
