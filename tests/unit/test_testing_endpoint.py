"""Streamable HTTP rules, one request in and one response out, without sockets."""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

import pytest

from trunkline.testing import FakeServer
from trunkline.testing.effects import Effect, Write
from trunkline.testing.endpoint import Endpoint
from trunkline.testing.http_message import (
    HttpRequest,
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
