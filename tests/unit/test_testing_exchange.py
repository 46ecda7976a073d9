"""One exchange read as a list of effects: the bytes of every reply and of every fault, without I/O."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.testing import FakeServer, Fault, Result
from trunkline.testing.dialogue import Conversation
from trunkline.testing.effects import Effect, End, Pause, Write
from trunkline.testing.framing import Lines

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def effects(
    fake: FakeServer,
    method: str,
    params: dict[str, Any] | None = None,
    *,
    whole: bool = False,
    limit: int = 20,
) -> list[Effect]:
    """Send one modern request and collect what it asks for, at most `limit` effects."""
    message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {"_meta": META, **(params or {})}}
    exchange = Conversation(fake).open(message, Lines(whole=whole))
    assert exchange is not None
    collected: list[Effect] = []
    for effect in exchange.steps:
        collected.append(effect)
        if len(collected) == limit:
            break
    exchange.finish()
    return collected


def reply(effects: list[Effect]) -> Any:
    assert isinstance(effects[-1], Write)
    return json.loads(effects[-1].data)


@pytest.fixture
def fake() -> FakeServer:
    fake = FakeServer("alpha")
    fake.tool("add", returns={"sum": 3})
    return fake


def call(fake: FakeServer, fault: Fault, **options: Any) -> list[Effect]:
    fake.fault("add", fault)
    return effects(fake, "tools/call", {"name": "add"}, **options)


def test_a_modern_result_carries_its_type_and_the_server(fake: FakeServer) -> None:
    assert effects(fake, "tools/call", {"name": "add"}) == [
        Write(
            b'{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":[{"type":"text",'
            b'"text":"{\\"sum\\": 3}"}],"structuredContent":{"sum":3},'
            b'"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"alpha","version":"1.0"}}}}\n'
        )
    ]


@pytest.mark.parametrize(
    ("fault", "expected", "executed"),
    [
        (Fault.crash_before_reply, [End("crash")], False),
        (Fault.crash_after_commit, [End("crash")], True),
        (Fault.kill, [End("kill")], False),
        (Fault.kill.after_commit(), [End("kill")], True),
        (Fault.hang, [Pause(None)], False),
        (Fault.hang.after_commit(), [Pause(None)], True),
        (Fault.close_connection, [End("close")], False),
        (Fault.garbage, [Write(b"Traceback (most recent call last): this is not JSON\n")], True),
        (Fault.raw('{"id":$ID,"result":null}'), [Write(b'{"id":7,"result":null}\n')], True),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
def test_a_fault_replaces_the_reply(
    fake: FakeServer, fault: Fault, expected: list[Effect], executed: bool
) -> None:
    assert call(fake, fault) == expected
    assert fake.calls[0].executed is executed


def test_truncated_is_the_first_half_of_the_reply_and_the_end(fake: FakeServer) -> None:
    (good,) = effects(fake, "tools/call", {"name": "add"})
    assert isinstance(good, Write)
    cut, end = call(fake, Fault.truncated)
    assert cut == Write(good.data[: len(good.data) // 2])
    assert end == End("crash")


@pytest.mark.parametrize("size", [1000, 100_000])
def test_oversized_is_valid_and_exactly_of_its_size(fake: FakeServer, size: int) -> None:
    (write,) = call(fake, Fault.oversized(size))
    assert isinstance(write, Write)
    assert (len(write.data.rstrip(b"\n")), write.data[-1:]) == (size, b"\n")
    assert json.loads(write.data)["result"]["structuredContent"] == {"sum": 3}


def test_oversized_pads_a_list_as_well(fake: FakeServer) -> None:
    fake.fault("tools/list", Fault.oversized(5000))
    (write,) = effects(fake, "tools/list")
    assert isinstance(write, Write)
    assert len(write.data) == 5001
    assert len(json.loads(write.data)["result"]["tools"]) == 1


def test_invalid_utf8_breaks_one_string_of_the_reply(fake: FakeServer) -> None:
    (write,) = call(fake, Fault.invalid_utf8)
    assert isinstance(write, Write)
    assert write.data.count(b'"\xc3\x28\xff"') == 1
    with pytest.raises(UnicodeDecodeError):
        write.data.decode()


def test_deep_nests_exactly_as_many_arrays(fake: FakeServer) -> None:
    (write,) = call(fake, Fault.deep(5))
    assert json.loads(write.data)["result"]["structuredContent"] == [[[[[]]]]]  # type: ignore[union-attr]
    fake.heal()
    (write,) = call(fake, Fault.deep(100_000))
    assert b"[" * 100_000 + b"]" * 100_000 in write.data  # type: ignore[union-attr]


def test_wrong_id_answers_somebody_else(fake: FakeServer) -> None:
    assert reply(call(fake, Fault.wrong_id))["id"] == "not-7"


def test_duplicate_reply_comes_twice(fake: FakeServer) -> None:
    first, second = call(fake, Fault.duplicate_reply)
    assert first == second
    assert reply([first])["id"] == 7


def test_drip_asks_for_small_pieces(fake: FakeServer) -> None:
    (write,) = call(fake, Fault.drip(0.25, 3))
    assert isinstance(write, Write)
    assert (write.piece, write.seconds, reply([write])["id"]) == (3, 0.25, 7)


def test_endless_starts_well_and_never_ends(fake: FakeServer) -> None:
    written = [one.data for one in call(fake, Fault.endless, limit=50) if isinstance(one, Write)]
    assert written[0].startswith(b'{"jsonrpc":"2.0","id":7,"result":')
    assert set(written[1:]) == {b"x" * 65536}


def test_delay_waits_before_the_request_runs(fake: FakeServer) -> None:
    pause, write = call(fake, Fault.delay(2.5))
    assert (pause, reply([write])["id"]) == (Pause(2.5), 7)


def test_rpc_error_answers_in_place_of_the_tool(fake: FakeServer) -> None:
    error = reply(call(fake, Fault.rpc_error(-32050, "no", {"a": 1})))["error"]
    assert error == {"code": -32050, "message": "no", "data": {"a": 1}}
    assert not fake.calls[0].executed


@pytest.mark.parametrize(
    "fault",
    [Fault.reset, Fault.http_status(503), Fault.comments(1), Fault.cut_after_headers, Fault.gzip_bomb(9)],
)
def test_a_fault_of_http_says_so_on_other_transports(fake: FakeServer, fault: Fault) -> None:
    error = reply(call(fake, fault))["error"]
    assert error == {"code": -32603, "message": f"fault {fault.kind!r} needs HTTP"}


@pytest.mark.parametrize("fault", [Fault.kill, Fault.drip(1), Fault.endless])
def test_a_fault_of_byte_streams_says_so_in_memory(fake: FakeServer, fault: Fault) -> None:
    error = reply(call(fake, fault, whole=True))["error"]
    assert error == {"code": -32603, "message": f"fault {fault.kind!r} needs stdio or HTTP"}


def test_progress_is_spread_evenly_over_the_delay(fake: FakeServer) -> None:
    fake.tool("slow", delay=3.0, progress=[(1, 3, "a"), (2, None, None)], returns="done")
    asked = effects(fake, "tools/call", {"name": "slow", "_meta": {**META, "progressToken": "t"}})
    assert [type(one) for one in asked] == [Write, Pause, Write, Pause, Write]
    assert asked[1] == asked[3] == Pause(1.5)
    assert reply(asked[:1])["params"] == {"progressToken": "t", "progress": 1, "total": 3, "message": "a"}
    assert reply(asked[2:3])["params"] == {"progressToken": "t", "progress": 2}


def test_nobody_gets_progress_who_did_not_ask(fake: FakeServer) -> None:
    fake.tool("slow", progress=[(1, 3, "a")])
    notes = effects(fake, "tools/call", {"name": "slow"})
    assert [one.data for one in notes[:-1] if isinstance(one, Write)] == [b""]


@pytest.mark.parametrize(
    ("returns", "result"),
    [
        ("text", {"content": [{"type": "text", "text": "text"}]}),
        (None, {"content": []}),
        ([{"type": "image", "data": "AA==", "mimeType": "image/png"}],
         {"content": [{"type": "image", "data": "AA==", "mimeType": "image/png"}]}),
        (12, {"content": [{"type": "text", "text": "12"}], "structuredContent": 12}),
        (Result(content=[], isError=True, extra=1), {"content": [], "isError": True, "extra": 1}),
        (Result(resultType="input_required", requestState="s"), {"requestState": "s"}),
    ],
)  # fmt: skip
def test_what_a_tool_returns_becomes_its_result(
    fake: FakeServer, returns: Any, result: dict[str, Any]
) -> None:
    fake.tool("any", returns=returns)
    seen = reply(effects(fake, "tools/call", {"name": "any"}))["result"]
    assert seen.pop("resultType") == ("input_required" if "requestState" in result else "complete")
    del seen["_meta"]
    assert seen == result


def test_result_type_can_be_left_out_as_real_servers_do() -> None:
    fake = FakeServer(result_type=None)
    assert "resultType" not in reply(effects(fake, "tools/list"))["result"]


def test_a_finished_or_cancelled_exchange_is_no_longer_running(fake: FakeServer) -> None:
    conversation = Conversation(fake)
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"_meta": META}}
    exchange = conversation.open(message, Lines())
    assert exchange is not None
    assert list(conversation.running) == [7]
    exchange.finish()
    assert not conversation.running
