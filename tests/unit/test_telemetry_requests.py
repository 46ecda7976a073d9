"""Spans, logs and errors of what is no tool: named rightly, and no URI's secret is in them."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import trunkline
from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL
from trunkline.telemetry.attributes import Endpoint, call_attributes, span_name
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio


def made(method: str, name: str) -> Call:
    return Call(
        id="1",
        server="s",
        name=name,
        public_name=f"s.{name}",
        arguments={},
        principal=LOCAL,
        deadline=1,
        idle=1,
        flight=Flight(0),
        method=method,
    )


@pytest.mark.parametrize(
    ("method", "name", "span", "attributes"),
    [
        (
            "tools/call",
            "add",
            "tools/call add",
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "add"},
        ),
        ("prompts/get", "greet", "prompts/get greet", {"gen_ai.prompt.name": "greet"}),
        ("resources/read", "db://a?token=s3", "resources/read", {}),
        ("completion/complete", "db://{x}", "completion/complete", {}),
        ("own/method", "secret", "own/method", {}),
    ],
)
def test_a_span_names_tools_and_prompts_and_no_uri(
    method: str, name: str, span: str, attributes: dict[str, Any]
):
    call = made(method, name)
    assert span_name(call) == span
    assert call_attributes(call, Endpoint()) == {"mcp.method.name": method, **attributes}


async def test_the_secret_of_a_uri_is_in_no_log_and_no_error_of_its_call(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "trunkline")
    server = FakeServer()
    uri = "db://user:s3cret@host/table?token=s3cret#s3cret"
    server.resource(uri, "rows")
    async with trunkline.connect({"fake": server}) as trunk:
        reply = await trunk.read(uri)
        assert (reply.uri, reply.tool, reply.text) == (uri, "fake db://host/table", "rows")
        with pytest.raises(trunkline.NotFoundError) as caught:
            await trunk.read(uri + "x", "fake")
        assert "s3cret" not in str(caught.value)
    assert "db://host/table" in caplog.text
    assert "s3cret" not in caplog.text


URI = "db://user:s3cret@host/table?token=s3cret#s3cret"


class Odd(FakeServer):
    """Answers a read with a result of a type that nobody knows."""

    def complete(self, result: Any, method: str) -> dict[str, Any]:
        found = super().complete(result, method)
        return {**found, "resultType": "odd"} if method == "resources/read" else found


@pytest.mark.parametrize(
    "ask",
    [
        lambda trunk: trunk.read(URI + "x"),
        lambda trunk: trunk.read(URI + "x", timeout=0.05),
        lambda trunk: trunk.read(URI, "odd"),
        lambda trunk: trunk.subscribe(URI + "x", timeout=5),
        lambda trunk: trunk.subscribe(URI, "hung", timeout=0.05),
        lambda trunk: trunk.complete(URI + "x", "name", ""),
    ],
)
async def test_the_secret_of_a_uri_is_in_no_error_of_finding_reading_or_subscribing(
    ask: Callable[[trunkline.Trunk], Awaitable[object]], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG, "trunkline")
    hung, odd, other = FakeServer(eras=["legacy"], watchable=True), Odd(eras=["modern"]), FakeServer()
    for server in (hung, odd, other):
        server.resource("mem://one")
    odd.resource(URI)
    hung.fault("resources/subscribe", Fault.hang)
    async with trunkline.connect({"hung": hung, "odd": odd, "other": other}) as trunk:
        await trunk.ready()
        other.fault("resources/list", Fault.delay(0.2))
        with pytest.raises(trunkline.CallError) as caught:
            await ask(trunk)
    error = caught.value
    assert "s3cret" not in f"{error}{error.tool}{error.hint}{caplog.text}"


async def test_a_subscription_that_was_sent_and_not_answered_is_of_unknown_delivery():
    server = FakeServer(eras=["legacy"], watchable=True)
    server.resource("mem://one")
    server.fault("resources/subscribe", Fault.hang)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.DeadlineExceededError) as caught:
            await trunk.subscribe("mem://one", "fake", timeout=0.05)
        assert caught.value.delivery == "unknown"


async def test_a_deadline_that_passes_while_lists_are_read_again_says_so():
    servers = {name: FakeServer() for name in ("one", "two")}
    for server in servers.values():
        server.resource("mem://one")
    async with trunkline.connect(servers) as trunk:
        await trunk.ready()
        servers["one"].fault("resources/list", Fault.hang)
        with pytest.raises(trunkline.DeadlineExceededError, match="read again"):
            await trunk.read("mem://two", timeout=0.05)


@pytest.mark.parametrize("code", [-32602, -32002, -32603])
async def test_a_server_that_repeats_the_uri_puts_no_secret_of_it_into_the_error(code: int):
    server = FakeServer()
    server.resource("mem://one")
    server.fault("resources/read", Fault.rpc_error(code, f"cannot read {URI}, sorry"))
    async with trunkline.connect({"fake": server}) as trunk:
        with pytest.raises(trunkline.CallError, match="cannot read db://host/table, sorry") as caught:
            await trunk.read(URI, "fake")
    shown = traceback.format_exception(caught.value)
    assert "s3cret" not in "".join(line for line in shown if "URI" not in line)
