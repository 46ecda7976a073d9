"""The classic rows of troubleshooting tables, each provoked; the page's advice is what the error says."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault
from trunkline.testing.streams import Quirks, serve_streams
from trunkline.transport import sse

assert sse  # importing it takes longer than some tests may wait
pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs/how-to/troubleshooting.md").read_text("utf-8")
ROWS = {
    what: (code, advice)
    for what, code, advice in re.findall(r"^\| ([^|]+) \| `(\w+)` \| ([^|]+) \|$", PAGE, re.MULTILINE)
}


def row(what: str, error: trunkline.CallError) -> None:
    """Compare an error with the row of the page, and its code with the pages of codes."""
    code, advice = ROWS[what]
    assert error.code == code
    assert error.hint == advice
    assert (Path(__file__).parents[2] / error.page).is_file()


def weather(**options: Any) -> FakeServer:
    server = FakeServer("far", **options)
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    server.tool("weather", schema=schema, reports="arguments")
    return server


async def fail(
    entry: Any, arguments: Mapping[str, Any] | None = None, *, tool: str = "weather", **settings: Any
) -> trunkline.CallError:
    async with trunkline.connect({"far": entry}, policy={"defaults": {"connect": 20, **settings}}) as trunk:
        with pytest.raises(trunkline.CallError) as caught:
            await trunk.call(f"far.{tool}", {"city": "Rome"} if arguments is None else arguments)
    return caught.value


@pytest.mark.parametrize(
    ("what", "number", "delivery"),
    [
        ("Invalid request (-32600)", -32600, "answered"),
        ("Method not found (-32601)", -32601, "refused"),
        ("Invalid params (-32602)", -32602, "answered"),
    ],
)
async def test_an_error_of_json_rpc_says_what_it_means(what: str, number: int, delivery: str):
    server = weather()
    server.fault("weather", Fault.rpc_error(number, "no \x1b[31msuch thing"))
    error = await fail(server)
    row(what, error)
    assert isinstance(error, trunkline.ServerError)
    assert (error.rpc_code, error.delivery) == (number, delivery)
    assert f"error {number}" in error.message
    assert "\x1b" not in error.message


async def test_a_method_that_a_server_does_not_have_says_what_it_offers():
    async with trunkline.connect({"far": weather()}) as trunk:
        with pytest.raises(trunkline.ServerError) as caught:
            await trunk.request("far", "vendor/method", {})
    row("Method not found (-32601)", caught.value)


async def test_a_number_of_the_servers_own_is_left_to_the_server():
    server = weather()
    server.fault("weather", Fault.rpc_error(-32001, "out of order"))
    assert (await fail(server)).hint is None


async def test_arguments_that_do_not_fit_are_named_before_anything_is_sent():
    server = weather()
    error = await fail(server, {})
    row("Arguments that do not fit the schema", error)
    assert "city" in error.message
    assert server.calls == []


async def test_a_refused_connection_names_host_and_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = await fail({"url": f"http://127.0.0.1:{port}/mcp"})
    row("Connection refused", error)
    assert isinstance(error, trunkline.UnavailableError)
    assert f"127.0.0.1:{port} (Connection refused)" in error.message
    assert error.delivery == "never_sent"


async def test_a_silent_stream_of_events_ends_with_the_idle_time():
    server = weather()
    server.fault("weather", Fault.comments(0.02))
    async with server.http() as url:
        error = await fail({"url": url}, idle=0.2)
    row("A stream of events that stays silent", error)
    assert isinstance(error, trunkline.DeadlineExceededError)
    assert error.message == "no sign of life for 0.2 s (waiting for the answer)"
    assert error.delivery == "unknown"


async def test_a_request_that_takes_too_long_ends_with_its_time():
    server = weather()
    server.fault("weather", Fault.hang)
    error = await fail(server, timeout=0.2)
    row("A request that takes too long", error)
    assert isinstance(error, trunkline.DeadlineExceededError)
    assert error.message == "no answer within 0.2 s (waiting for the answer)"


async def test_an_open_breaker_says_when_to_call_again():
    server = weather()
    server.fault("weather", Fault.garbage)
    policy = {"defaults": {"breaker": {"consecutive": 1, "open_for": 30, "jitter": False}}}
    async with server.http() as url, trunkline.connect({"far": {"url": url}}, policy=policy) as trunk:
        for kind in (trunkline.ProtocolError, trunkline.RejectedError):
            with pytest.raises(kind) as caught:
                await trunk.call("far.weather", {"city": "Rome"})
    row("Circuit open", caught.value)
    assert caught.value.delivery == "never_sent"
    assert 0 < (caught.value.retry_after or 0) <= 30


async def test_a_tool_that_is_not_there_names_the_nearest():
    error = await fail(weather(), tool="wether")
    row("Tool not found", error)
    assert isinstance(error, trunkline.NotFoundError)
    assert "far.weather" in error.candidates


async def test_an_endpoint_that_does_not_come_says_what_to_check():
    async with serve_streams(weather(eras=["legacy"]), Quirks(endpoint="none")) as streams:
        error = await fail({"type": "sse", "url": f"{streams.origin}/sse"}, connect=0.5)
    row("Endpoint not received, over HTTP+SSE", error)
    assert "the server named no endpoint: nothing came in time" in error.message
    assert error.delivery == "never_sent"


async def test_an_answer_that_is_no_json_says_that_it_may_have_run():
    server = weather()
    server.fault("weather", Fault.garbage)
    async with server.http() as url:
        error = await fail({"url": url})
    row("JSON that cannot be decoded", error)
    assert isinstance(error, trunkline.ProtocolError)
    assert "cannot be read" in error.message
    assert error.delivery == "unknown"


def test_the_page_has_a_row_for_each_and_no_other():
    text = Path(__file__).read_text("utf-8")
    assert len(ROWS) == 11
    assert [what for what in ROWS if f'"{what}"' not in text] == []
