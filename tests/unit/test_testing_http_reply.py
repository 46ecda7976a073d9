"""One exchange as an HTTP response: the bytes of every reply and of every fault, without sockets."""

from __future__ import annotations

import gzip
import json
from typing import Any, NamedTuple

import pytest

from trunkline.testing import FakeServer, Fault
from trunkline.testing.dialogue import Conversation
from trunkline.testing.effects import Effect, End, Pause, Write
from trunkline.testing.http_message import render_chunk
from trunkline.testing.http_reply import HttpReply

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture
def fake() -> FakeServer:
    fake = FakeServer("alpha")
    fake.tool("add", returns="3")
    fake.tool("steps", progress=[(1, 2, "a"), (2, 2, None)])
    return fake


def call(
    fake: FakeServer, fault: Fault | None = None, *, json: bool = True, name: str = "add"
) -> tuple[Answer, list[Effect]]:
    """Call a tool and give the response, and the first ten effects that wrote it."""
    if fault is not None:
        fake.fault(name, fault)
    params = {"name": name, "_meta": {**META, "progressToken": 1}}
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    exchange = Conversation(fake).open(message, HttpReply(json=json, modern=True))
    assert exchange is not None
    effects = [effect for effect, _ in zip(exchange.steps, range(10), strict=False)]
    exchange.finish()
    head, _, body = b"".join(one.data for one in effects if isinstance(one, Write)).partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    return Answer(int(line.split(" ")[1]) if line else 0, headers, body), effects


def events(answer: Answer) -> list[Any]:
    """Decode a chunked event stream that has come to its end."""
    data, rest = b"", answer.body
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        data, rest = data + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    found = [event for event in data.split(b"\n\n") if event]
    assert all(event.startswith(b"event: message\ndata: ") for event in found)
    return [json.loads(event.partition(b"data: ")[2]) for event in found]


def test_a_json_reply_has_its_length_and_type(fake: FakeServer) -> None:
    answer = call(fake)[0]
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["content-length"] == str(len(answer.body))
    assert json.loads(answer.body)["result"]["content"][0]["text"] == "3"


def test_a_stream_reply_carries_notifications_and_then_the_response(fake: FakeServer) -> None:
    answer, _ = call(fake, json=False, name="steps")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert [one.get("id", one.get("method")) for one in events(answer)] == ["notifications/progress"] * 2 + [
        7
    ]
    assert answer.body.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        (Fault.crash_before_reply, "crash"),
        (Fault.kill, "kill"),
        (Fault.close_connection, "close"),
        (Fault.reset, "reset"),
        (Fault.reset.after_commit(), "reset"),
    ],
)
def test_an_ending_comes_before_the_first_byte(fake: FakeServer, fault: Fault, how: Any) -> None:
    assert call(fake, fault)[1] == [End(how)]
    assert fake.calls[0].executed is fault.committed


def test_a_hang_sends_nothing(fake: FakeServer) -> None:
    assert call(fake, Fault.hang)[1] == [Pause(None)]


def test_a_status_comes_with_its_headers_and_body(fake: FakeServer) -> None:
    answer, _ = call(
        fake, Fault.http_status(503, {"Retry-After": "2", "Content-Type": "text/html"}, "<h1>busy</h1>")
    )
    assert (answer.status, answer.headers["retry-after"], answer.body) == (503, "2", b"<h1>busy</h1>")
    assert not fake.calls[0].executed


def test_a_redirect_points_elsewhere(fake: FakeServer) -> None:
    answer, _ = call(fake, Fault.redirect("http://127.0.0.1:9/x", 308))
    assert (answer.status, answer.headers["location"]) == (308, "http://127.0.0.1:9/x")


@pytest.mark.parametrize("json_mode", [True, False])
def test_cut_after_headers_promises_a_body_and_ends(fake: FakeServer, json_mode: bool) -> None:
    answer, effects = call(fake, Fault.cut_after_headers, json=json_mode)
    assert (answer.status, answer.body, effects[-1]) == (200, b"", End("close"))
    assert int(answer.headers.get("content-length", "1")) > 0


@pytest.mark.parametrize("json_mode", [True, False])
def test_truncated_is_half_a_body_and_the_end(fake: FakeServer, json_mode: bool) -> None:
    whole, _ = call(fake, json=json_mode)
    answer, effects = call(fake, Fault.truncated, json=json_mode)
    assert answer.body == whole.body[: len(whole.body) // 2]
    assert (answer.headers, effects[-1]) == (whole.headers, End("close"))


def test_duplicate_replies_are_two_events_even_of_a_json_server(fake: FakeServer) -> None:
    answer, _ = call(fake, Fault.duplicate_reply)
    assert [one["id"] for one in events(answer)] == [7, 7]


def test_a_drip_has_its_head_at_once_and_its_body_in_pieces(fake: FakeServer) -> None:
    answer, effects = call(fake, Fault.drip(0.5, 4))
    head, body = effects
    assert isinstance(head, Write)
    assert isinstance(body, Write)
    assert (head.piece, body.piece, body.seconds, body.data) == (0, 4, 0.5, answer.body)


def test_comments_come_for_ever_and_no_answer_with_them(fake: FakeServer) -> None:
    answer, effects = call(fake, Fault.comments(0.5), json=True)
    assert answer.headers["content-type"] == "text/event-stream"
    assert effects[1:5] == [Write(render_chunk(b": still here\n\n")), Pause(0.5)] * 2


@pytest.mark.parametrize(("json_mode", "start"), [(True, b'{"jsonrpc"'), (False, b"event: message\ndata: ")])
def test_an_endless_body_starts_well(fake: FakeServer, json_mode: bool, start: bytes) -> None:
    answer, effects = call(fake, Fault.endless, json=json_mode)
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.body.partition(b"\r\n")[2].startswith(start)
    assert effects[3:5] == [Write(render_chunk(b"x" * 65536)), Pause(0)]


def test_a_gzip_bomb_is_small_on_the_wire_and_valid_inside(fake: FakeServer) -> None:
    answer, _ = call(fake, Fault.gzip_bomb(5_000_000), json=False)
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.body) < 10_000
    inside = gzip.decompress(answer.body)
    assert (len(inside), json.loads(inside)["id"]) == (5_000_000, 7)


@pytest.mark.parametrize(
    ("fault", "body"), [(Fault.garbage, b"this is not JSON"), (Fault.invalid_utf8, b"\xc3\x28\xff")]
)
def test_a_spoiled_body_is_otherwise_a_good_response(fake: FakeServer, fault: Fault, body: bytes) -> None:
    answer, _ = call(fake, fault)
    assert (answer.status, answer.headers["content-length"]) == (200, str(len(answer.body)))
    assert body in answer.body


def test_a_status_after_the_stream_began_can_only_end_it(fake: FakeServer) -> None:
    effects = call(fake, Fault.http_status(500).after_commit(), json=False, name="steps")[1]
    assert effects[-1] == End("close")
