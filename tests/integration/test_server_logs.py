"""Log messages of servers: asked for in both families, as events and as records of `trunkline.server`."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import trunkline
from trunkline.core.events import LogMessage
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio


def talkative(family: str) -> FakeServer:
    server = FakeServer(eras=[family])

    @server.tool
    async def work(_: dict[str, Any], context: Any) -> str:
        await context.log("debug", "thinking")
        await context.log("warning", {"disk": "full"}, "storage")
        return "done"

    return server


async def first(stream: Any) -> Any:
    return await asyncio.wait_for(anext(stream), 10)


@pytest.mark.parametrize("family", ["legacy", "modern"])
async def test_messages_of_the_wanted_level_come_as_events_and_as_records(
    family: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG, "trunkline.server")
    async with trunkline.connect({"fake": talkative(family)}) as trunk, trunk.events(LogMessage) as logs:
        await trunk.ready()
        await trunk.set_log_level("warning", "fake")
        await trunk.call("fake.work")
        event = await first(logs)
        assert event == LogMessage(
            server="fake", level="warning", logger="storage", data={"disk": "full"}, text='{"disk":"full"}'
        )
        (record,) = [one for one in caplog.records if one.name == "trunkline.server"]
        assert (record.levelno, record.getMessage()) == (
            logging.WARNING,
            'fake: storage: {"disk":"full"}',
        )
        assert record.__dict__["server"] == "fake"
        await trunk.set_log_level("debug")
        await trunk.call("fake.work")
        assert [(await first(logs)).level for _ in range(2)] == ["debug", "warning"]


async def test_a_modern_server_says_nothing_until_asked():
    server = talkative("modern")
    async with trunkline.connect({"fake": server}) as trunk, trunk.events(LogMessage) as logs:
        await trunk.call("fake.work")
        await trunk.set_log_level("debug", "fake")
        await trunk.call("fake.work")
        assert [(await first(logs)).level for _ in range(2)] == ["debug", "warning"]
        metas = [one.meta for one in server.calls]
        assert "io.modelcontextprotocol/logLevel" not in metas[0]
        assert metas[1]["io.modelcontextprotocol/logLevel"] == "debug"


async def test_what_nobody_asked_for_is_a_debug_record(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "trunkline.server")
    server = talkative("legacy")
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        server.notify_log("emergency", "help")
        await trunk.call("fake.work")
        records = [one for one in caplog.records if one.name == "trunkline.server"]
        assert {one.levelno for one in records} == {logging.DEBUG}


async def test_a_level_set_before_the_server_is_connected_or_lost_holds_on_every_connection():
    server = talkative("legacy")
    server.tool("die")
    server.fault("die", Fault.crash_before_reply)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.set_log_level("error")
        await trunk.ready()
        await server.wait_for(lambda ledger: len(ledger.of("logging/setLevel")) == 1)
        with pytest.raises(trunkline.CallError):
            await trunk.call("fake.die")
        await trunk.call("fake.work")
        await server.wait_for(lambda ledger: len(ledger.of("logging/setLevel")) == 2)
        assert {one.params["level"] for one in server.ledger.of("logging/setLevel")} == {"error"}


async def test_an_unknown_level_or_server_and_a_refusal_are_errors_of_their_kind():
    server = talkative("legacy")
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.InvalidArgumentsError, match="loud"):
            await trunk.set_log_level("loud")
        with pytest.raises(trunkline.NotFoundError, match="ghost"):
            await trunk.set_log_level("info", "ghost")
        server.fault("logging/setLevel", Fault.rpc_error(-32603, "no"))
        with pytest.raises(trunkline.ServerError):
            await trunk.set_log_level("info", "fake")
        await trunk.set_log_level("info")


async def test_a_server_that_does_not_answer_is_given_up_after_its_connect_timeout():
    server = talkative("legacy")
    server.fault("logging/setLevel", Fault.hang)
    async with trunkline.connect({"fake": server}, policy={"defaults": {"connect": 0.2}}) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.DeadlineExceededError, match="log level"):
            await trunk.set_log_level("info", "fake")


async def test_a_server_without_log_messages_is_a_clear_error(monkeypatch: pytest.MonkeyPatch):
    from trunkline.testing import answers

    monkeypatch.setattr(answers, "_introduce", lambda *_: {"capabilities": {"tools": {}}})
    async with trunkline.connect({"fake": talkative("legacy")}) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.NotFoundError, match="no log messages") as caught:
            await trunk.set_log_level("info", "fake")
        assert caught.value.code == "not_offered"


async def test_a_message_is_shown_on_one_safe_line_without_secrets():
    server = FakeServer(eras=["legacy"])
    secret = "tok-123456789"
    async with (
        server.http(json=True) as url,
        trunkline.connect({"fake": {"url": url, "headers": {"Authorization": secret}}}) as trunk,
        trunk.events(LogMessage) as logs,
    ):
        await trunk.ready()
        inbox = trunk._fleet.get("fake").live.link.unsolicited
        from trunkline.protocol.frames import Frame

        data = f"a\nb \x1b[31mred \u202e {secret}"
        inbox.put(Frame(method="notifications/message", params={"level": "info", "data": data}))
        event = await first(logs)
        assert event.data == data
        assert event.text.isprintable()
        assert secret not in event.text
        inbox.put(Frame(method="notifications/message", params={"level": "shout", "data": data}))
        inbox.put(Frame(method="notifications/message", params=["no object"]))
        inbox.put(Frame(method="notifications/message", params={"level": "info", "data": "last"}))
        assert (await first(logs)).text == "last"
