"""What every message of a client keeps to, read from the bytes that arrive, in every revision."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer
from trunkline.testing.script import Result

pytestmark = pytest.mark.anyio

META = "io.modelcontextprotocol/"


async def converse(tap: Any) -> None:
    """Connect, list, make some calls side by side, give one up, and close."""
    async with trunkline.connect({"fake": tap}) as trunk:
        await trunk.ready()
        await asyncio.gather(*(trunk.call("fake.echo", {"n": n, "text": "a\nb\u2028\0é"}) for n in range(5)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await trunk.call("fake.echo")


@pytest.mark.requirement("JSONRPC", "UTF-8", "STDIO-NEWLINES", "STDIO-ONLY-MCP", "BATCH-SENDING")
async def test_every_frame_is_one_json_rpc_message_in_utf_8_without_a_newline(tap: Any):
    await converse(tap)
    assert len(tap.frames) >= 7
    assert not [frame for frame in tap.frames if b"\n" in frame or b"\r" in frame]
    for message in tap.messages:
        assert message["jsonrpc"] == "2.0"
        assert isinstance(message["method"], str)
        assert message.keys() <= {"jsonrpc", "id", "method", "params"}
    assert {"n": 3, "text": "a\nb\u2028\0é"} in [one["params"].get("arguments") for one in tap.requests]


@pytest.mark.requirement("ID-TYPE", "ID-NOT-NULL", "ID-UNIQUE", "ID-UNIQUE-IN-SESSION", "NOTIFICATION-NO-ID")
async def test_requests_have_ids_that_never_repeat_and_notifications_have_none(tap: Any):
    await converse(tap)
    ids = [one["id"] for one in tap.requests]
    assert all(type(one) in (int, str) for one in ids)
    assert len(set(ids)) == len(ids)
    notifications = [one for one in tap.messages if one["method"].startswith("notifications/")]
    assert not [one for one in notifications if "id" in one]


@pytest.mark.requirement("PROGRESS-TOKEN-TYPE", "PROGRESS-TOKEN-UNIQUE")
async def test_progress_tokens_are_text_or_integers_and_never_repeat(tap: Any):
    await converse(tap)
    tokens = [
        one["params"]["_meta"]["progressToken"] for one in tap.requests if one["method"] == "tools/call"
    ]
    assert len(tokens) >= 5
    assert all(type(one) in (int, str) for one in tokens)
    assert len(set(tokens)) == len(tokens)


@pytest.mark.requirement("META-REQUIRED", "META-CLIENT-INFO", "ELICIT-DECLARE-PER-REQUEST")
@pytest.mark.requirement("SAMPLING-DECLARE-PER-REQUEST", "ROOTS-DECLARE-PER-REQUEST")
@pytest.mark.parametrize("revision", ["2026-07-28"])
async def test_every_modern_request_carries_version_capabilities_and_who_we_are(tap: Any):
    handlers = trunkline.Handlers(elicit=lambda _: None, sample=lambda _: None, roots=lambda _: [])
    async with trunkline.connect({"fake": tap}, handlers=handlers) as trunk:
        await trunk.call("fake.echo")
    assert {one["method"] for one in tap.requests} >= {"server/discover", "tools/list", "tools/call"}
    for request in tap.requests:
        meta = request["params"]["_meta"]
        assert meta[META + "protocolVersion"] == "2026-07-28"
        assert meta[META + "clientCapabilities"].keys() == {
            *("elicitation", "sampling", "roots"),
            "extensions",
        }
        assert meta[META + "clientInfo"]["name"] == "trunkline"


@pytest.mark.requirement("TASKS-ONLY-IF-DECLARED", "TASKS-NOT-WHERE-FORBIDDEN")
async def test_no_call_asks_to_become_a_task(tap: Any):
    await converse(tap)
    assert not [one for one in tap.requests if "task" in one.get("params", {})]


@pytest.mark.requirement("BATCH-RECEIVING")
@pytest.mark.parametrize("revision", ["2025-03-26"])
async def test_answers_that_arrive_in_one_batch_each_find_their_call(tap: Any):
    held: list[bytes] = []

    class Batching:
        async def serve(self, receive: Any, send: Any) -> None:
            def hold(frame: bytes) -> None:
                if b'"content"' not in frame:
                    return send(frame)
                held.append(frame)
                return send(b"[" + b",".join(held) + b"]") if len(held) == 3 else None

            await tap.serve(receive, hold)

    async with trunkline.connect({"fake": Batching()}) as trunk:
        replies = await trunk.call_many([("fake.echo", {"n": n}) for n in range(3)])
    assert [json.loads(reply.text) for reply in replies] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert len(held) == 3


@pytest.mark.requirement("RESULT-TYPE-ABSENT")
async def test_a_modern_reply_without_result_type_is_complete():
    server = FakeServer(eras=["modern"], result_type=None)
    server.tool("echo", reports="arguments")
    async with trunkline.connect({"fake": server}) as trunk:
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
    assert len(server.calls) == 1


@pytest.mark.requirement("RESULT-TYPE-UNKNOWN")
@pytest.mark.parametrize("kind", ["task", "invented", "", 7, None])
async def test_a_modern_reply_of_a_type_we_do_not_know_is_an_error(kind: Any):
    server = FakeServer(eras=["modern"])
    server.tool("odd", returns=Result(content=[], resultType=kind))
    async with trunkline.connect({"fake": server}) as trunk:
        with pytest.raises(trunkline.ProtocolError):
            await trunk.call("fake.odd")
