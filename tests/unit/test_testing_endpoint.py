"""Streamable HTTP rules, one request in and one response out, without sockets."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any, NamedTuple

import pytest

from trunkline.testing import FakeServer, Fault
from trunkline.testing.effects import Effect, End, Pause, Write
from trunkline.testing.endpoint import Endpoint
from trunkline.testing.http_message import (
    HttpRequest,
    MalformedRequestError,
    RequestParser,
    render_chunk,
    render_response,
)

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> int:
        return int(self.json["error"]["code"])


def read(response: bytes) -> Answer:
    head, _, body = response.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    return Answer(int(line.split(" ")[1]), headers, body)


class Client:
    """Builds correct requests; each test spoils what it is about."""

    def __init__(self, fake: FakeServer, *, json: bool = True, sessions: bool = True) -> None:
        self.endpoint = Endpoint(fake, json=json, path="/mcp", sessions=sessions)
        self.effects: list[Effect] = []

    def send(
        self,
        message: Any,
        headers: dict[str, str | None] | None = None,
        *,
        method: str = "POST",
        path: str = "/mcp",
        limit: int = 10,
    ) -> Answer:
        base: dict[str, str | None] = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            **(headers or {}),
        }
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        sent = {name: value for name, value in base.items() if value is not None}
        outcome = self.endpoint.receive(HttpRequest(method, path, sent, body))
        if isinstance(outcome, bytes):
            return read(outcome)
        self.effects = []
        for effect in outcome.steps:
            self.effects.append(effect)
            if len(self.effects) == limit:
                break
        outcome.finish()
        written = b"".join(effect.data for effect in self.effects if isinstance(effect, Write))
        return read(written) if written else Answer(0, {}, b"")

    def modern(
        self, method: str, params: dict[str, Any] | None = None, headers: dict[str, str | None] | None = None
    ) -> Answer:
        body = {"_meta": META, **(params or {})}
        named = body.get("name", body.get("uri"))
        standard: dict[str, str | None] = {
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": method,
            **({"mcp-name": named} if named else {}),
        }
        message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": body}
        return self.send(message, {**standard, **(headers or {})})

    def legacy(self, method: str, request_id: Any = 1, headers: Any = None, **params: Any) -> Answer:
        identity = {} if request_id is None else {"id": request_id}
        return self.send({"jsonrpc": "2.0", **identity, "method": method, "params": params}, headers)

    def shake_hands(self, version: str = "2025-11-25") -> dict[str, str | None]:
        answer = self.legacy("initialize", protocolVersion=version)
        session = (
            {"mcp-session-id": answer.headers["mcp-session-id"]} if "mcp-session-id" in answer.headers else {}
        )
        return {**session, "mcp-protocol-version": version}


@pytest.fixture
def fake() -> FakeServer:
    fake = FakeServer("alpha")
    fake.tool("add", returns="3")
    return fake


def call(fake: FakeServer, fault: Fault, *, json: bool = True) -> tuple[Answer, list[Effect]]:
    fake.fault("add", fault)
    client = Client(fake, json=json)
    return client.modern("tools/call", {"name": "add"}), client.effects


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
    answer = Client(fake).modern("tools/call", {"name": "add"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.json["result"]["content"][0]["text"] == "3"


def test_a_stream_reply_carries_notifications_and_then_the_response(fake: FakeServer) -> None:
    fake.tool("steps", progress=[(1, 2, "a"), (2, 2, None)])
    answer = Client(fake, json=False).modern(
        "tools/call", {"name": "steps", "_meta": {**META, "progressToken": 1}}
    )
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert [one.get("id", one.get("method")) for one in events(answer)] == ["notifications/progress"] * 2 + [
        7
    ]
    assert answer.body.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("message", "options", "status"),
    [
        ({}, {"path": "/other"}, 404),
        ({}, {"method": "GET"}, 405),
        ({}, {"headers": {"origin": "http://evil.example"}}, 403),
        ({}, {"headers": {"content-type": "text/plain"}}, 415),
        ({}, {"headers": {"accept": "application/json"}}, 406),
        (b"{broken", {}, 400),
        ([], {}, 400),
    ],
)
def test_what_is_no_mcp_request_is_refused(fake: FakeServer, message: Any, options: Any, status: int) -> None:
    assert Client(fake).send(message, **options).status == status
    assert len(fake.ledger) == 0


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080"])
def test_an_origin_of_this_machine_is_let_in(fake: FakeServer, origin: str) -> None:
    assert Client(fake).modern("tools/list", headers={"origin": origin}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"mcp-protocol-version": None},
        {"mcp-protocol-version": "2025-11-25"},
        {"mcp-method": None},
        {"mcp-method": "tools/list"},
        {"mcp-name": None},
        {"mcp-name": "sub"},
        {"mcp-name": "=?base64?%%%?="},
        {"mcp-name": f"=?base64?{base64.b64encode(b'sub').decode()}?="},
    ],
)
def test_headers_that_do_not_mirror_the_body_are_a_mismatch(fake: FakeServer, headers: Any) -> None:
    answer = Client(fake).modern("tools/call", {"name": "add"}, headers)
    assert (answer.status, answer.error) == (400, -32020)
    assert (len(fake.calls), fake.calls[0].executed) == (1, False)


def test_an_encoded_name_is_decoded_before_it_is_compared(fake: FakeServer) -> None:
    fake.tool("größe", returns="x")
    encoded = f"=?base64?{base64.b64encode('größe'.encode()).decode()}?="
    assert Client(fake).modern("tools/call", {"name": "größe"}, {"mcp-name": encoded}).status == 200


@pytest.mark.parametrize(
    ("arguments", "headers", "status"),
    [
        ({"region": "eu", "deep": {"count": 42}}, {"mcp-param-region": "eu", "mcp-param-count": "42.0"}, 200),
        ({"region": "eu"}, {"mcp-param-region": "=?base64?ZXU=?="}, 200),
        ({"on": True}, {"mcp-param-on": "true"}, 200),
        ({"region": None}, {}, 200),
        ({}, {}, 200),
        ({"region": "eu"}, {}, 400),
        ({"region": "eu"}, {"mcp-param-region": "us"}, 400),
        ({}, {"mcp-param-region": "us"}, 400),
        ({"deep": {"count": 42}}, {"mcp-param-count": "43"}, 400),
        ({"on": True}, {"mcp-param-on": "True"}, 400),
    ],
)
def test_parameters_marked_for_headers_have_to_be_mirrored(arguments: Any, headers: Any, status: int) -> None:
    fake = FakeServer()
    properties = {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "on": {"type": "boolean", "x-mcp-header": "On"},
        "deep": {"type": "object", "properties": {"count": {"type": "integer", "x-mcp-header": "Count"}}},
    }
    fake.tool("sql", schema={"type": "object", "properties": properties})
    answer = Client(fake).modern("tools/call", {"name": "sql", "arguments": arguments}, headers)
    assert answer.status == status
    assert status == 200 or answer.error == -32020


@pytest.mark.parametrize("json_mode", [True, False])
@pytest.mark.parametrize(
    ("method", "meta", "headers", "expected"),
    [
        ("no/such", META, {}, (404, -32601)),
        ("tools/list", {}, {}, (400, -32602)),
        ("tools/list", {**META, "io.modelcontextprotocol/clientCapabilities": None}, {}, (400, -32602)),
        ("tools/list", {**META, "io.modelcontextprotocol/protocolVersion": "1900-01-01"},
         {"mcp-protocol-version": "1900-01-01"}, (400, -32022)),
    ],
)  # fmt: skip
def test_a_modern_error_has_its_status(
    fake: FakeServer, json_mode: bool, method: str, meta: Any, headers: Any, expected: tuple[int, int]
) -> None:
    answer = Client(fake, json=json_mode).modern(method, {"_meta": meta}, headers)
    assert (answer.status, answer.error) == expected


def test_a_modern_only_server_knows_no_session_and_names_its_revisions() -> None:
    client = Client(FakeServer(eras=["modern"]))
    answer = client.legacy("initialize", protocolVersion="2025-11-25")
    assert (answer.status, answer.error, answer.json["error"]["data"]["supported"]) == (
        400,
        -32022,
        ["2026-07-28"],
    )
    assert client.legacy("tools/list").status == 400
    assert client.send({}, {"mcp-session-id": "x"}, method="DELETE").status == 405


def test_a_legacy_only_server_refuses_the_modern_revision_without_a_modern_error() -> None:
    answer = Client(FakeServer(eras=["legacy"])).modern("server/discover")
    assert (answer.status, answer.error) == (400, -32000)


def test_a_session_lives_from_the_handshake_to_its_end(fake: FakeServer) -> None:
    client = Client(fake)
    headers = client.shake_hands()
    assert headers["mcp-session-id"] == "alpha-session-1"
    assert client.legacy("notifications/initialized", None, headers)[0::2] == (202, b"")
    assert client.legacy("tools/list", 2, headers).json["result"]["tools"][0]["name"] == "add"
    assert client.send({}, headers, method="DELETE").status == 200
    assert client.legacy("tools/list", 3, headers).status == 404
    assert client.send({}, headers, method="DELETE").status == 404
    assert client.shake_hands()["mcp-session-id"] == "alpha-session-2"


def test_a_request_without_its_session_is_refused(fake: FakeServer) -> None:
    assert Client(fake).legacy("tools/list").status == 400


def test_an_unsupported_legacy_revision_is_refused() -> None:
    client = Client(FakeServer(eras=["legacy"]))
    headers = {**client.shake_hands(), "mcp-protocol-version": "2030-01-01"}
    assert client.legacy("tools/list", 2, headers).status == 400


def test_a_server_without_sessions_serves_each_request_for_itself(fake: FakeServer) -> None:
    client = Client(fake, sessions=False)
    headers = client.shake_hands("2025-06-18")
    assert headers == {"mcp-protocol-version": "2025-06-18"}
    assert client.legacy("tools/list", 2, headers).status == 200
    assert client.legacy("tools/list", 3).status == 200
    assert [one.version for one in fake.ledger] == [None, "2025-06-18", "2025-03-26"]


def test_a_legacy_error_is_a_good_response(fake: FakeServer) -> None:
    client = Client(fake)
    answer = client.legacy("no/such", 2, client.shake_hands())
    assert (answer.status, answer.error) == (200, -32601)


def test_the_ledger_keeps_the_headers_of_a_call(fake: FakeServer) -> None:
    Client(fake).modern("tools/call", {"name": "add"}, {"authorization": "Bearer one"})
    assert fake.calls[0].headers["authorization"] == "Bearer one"


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
    whole = Client(fake, json=json_mode).modern("tools/call", {"name": "add"})
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
    fake.tool("steps", progress=[(1, 2, "a")])
    fake.fault("steps", Fault.http_status(500).after_commit())
    client = Client(fake, json=False)
    client.modern("tools/call", {"name": "steps", "_meta": {**META, "progressToken": 1}})
    assert client.effects[-1] == End("close")


def test_requests_are_cut_from_the_stream_wherever_it_is_split() -> None:
    stream = (
        b"POST /a HTTP/1.1\r\nContent-Length: 3\r\nX: 1\r\nx:\t2 \r\n\r\nabc"
        b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;ext=1\r\nhi\r\n3\r\n!!!\r\n0\r\n\r\n"
        b"GET /c HTTP/1.1\r\n\r\n"
    )
    expected = [
        HttpRequest("POST", "/a", {"content-length": "3", "x": "1, 2"}, b"abc"),
        HttpRequest("POST", "/b", {"transfer-encoding": "chunked"}, b"hi!!!"),
        HttpRequest("GET", "/c", {}, b""),
    ]
    for size in (1, 2, 7, len(stream)):
        parser = RequestParser()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert [one for piece in pieces for one in parser.feed(piece)] == expected


@pytest.mark.parametrize(
    "data",
    [b"HELLO\r\n\r\n", b"POST / HTTP/1.1\r\nbroken\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
     b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
)  # fmt: skip
def test_what_is_no_http_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        RequestParser().feed(data)


def test_a_status_without_a_name_is_still_a_response() -> None:
    assert render_response(599, {"A": "b"}, b"x") == b"HTTP/1.1 599 \r\nA: b\r\nContent-Length: 1\r\n\r\nx"
