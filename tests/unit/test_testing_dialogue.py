"""Who may ask what under which revision, and what the lists look like; message in, message out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.testing import FakeServer, RpcError
from trunkline.testing.dialogue import Conversation
from trunkline.testing.effects import Pause, Write
from trunkline.testing.framing import Lines

VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
LEGACY = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]


class Peer:
    """A client without transport: it asks and gets the last message of the answer."""

    def __init__(self, fake: FakeServer) -> None:
        self.conversation = Conversation(fake)
        self.notes: list[Any] = []

    def ask(self, method: str, params: dict[str, Any] | None = None, **meta: Any) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": meta}}
        exchange = self.conversation.open(message, Lines())
        assert exchange is not None
        written = [effect.data for effect in exchange.steps if isinstance(effect, Write) and effect.data]
        exchange.finish()
        *self.notes, answer = map(json.loads, written)
        return answer

    def modern(self, method: str, params: dict[str, Any] | None = None, **meta: Any) -> Any:
        return self.ask(method, params, **{VERSION: "2026-07-28", CAPABILITIES: {}, **meta})

    def shake_hands(self, version: str) -> Any:
        return self.ask("initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": {}})


@pytest.mark.parametrize("version", LEGACY)
def test_the_handshake_agrees_on_a_revision_both_know(version: str) -> None:
    result = Peer(FakeServer("alpha")).shake_hands(version)["result"]
    assert result["protocolVersion"] == version
    assert result["serverInfo"] == {"name": "alpha", "version": "1.0"}
    assert "resultType" not in result


def test_the_handshake_offers_its_latest_for_an_unknown_revision() -> None:
    fake = FakeServer(versions=["2025-03-26", "2025-06-18"], eras=["legacy"])
    assert Peer(fake).shake_hands("2030-01-01")["result"]["protocolVersion"] == "2025-06-18"


def test_a_legacy_request_before_the_handshake_is_refused_but_ping_is_not() -> None:
    peer = Peer(FakeServer())
    assert peer.ask("tools/list")["error"]["code"] == -32600
    assert peer.ask("ping")["result"] == {}


def test_a_modern_only_server_refuses_the_handshake_and_names_its_revisions() -> None:
    error = Peer(FakeServer(eras=["modern"])).shake_hands("2025-11-25")["error"]
    assert error["code"] == -32022
    assert error["data"] == {"supported": ["2026-07-28"], "requested": "2025-11-25"}
    assert "2026-07-28" in error["message"]


def test_discover_introduces_the_server_with_cache_hints() -> None:
    fake = FakeServer("alpha", instructions="be kind", ttl_ms=5000, cache_scope="public")
    fake.prompt("greet")
    result = Peer(fake).modern("server/discover")["result"]
    assert result["supportedVersions"] == ["2026-07-28", *reversed(LEGACY)]
    assert result["capabilities"] == {"tools": {}, "logging": {}, "prompts": {}}
    assert (result["instructions"], result["ttlMs"], result["cacheScope"]) == ("be kind", 5000, "public")
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "alpha"


def test_an_unsupported_modern_revision_is_answered_with_the_supported_ones() -> None:
    error = Peer(FakeServer()).modern("tools/list", None, **{VERSION: "1900-01-01"})["error"]
    assert error["code"] == -32022
    assert error["data"] == {"supported": ["2026-07-28", *reversed(LEGACY)], "requested": "1900-01-01"}


@pytest.mark.parametrize("missing", [VERSION, CAPABILITIES])
def test_a_modern_request_without_required_meta_is_malformed(missing: str) -> None:
    peer = Peer(FakeServer(eras=["modern"]))
    error = peer.modern("tools/list", **{missing: None})["error"]
    assert (error["code"], missing in error["message"]) == (-32602, True)


@pytest.mark.parametrize("method", ["ping", "logging/setLevel", "initialized", "no/such"])
def test_a_method_of_the_other_family_is_not_found(method: str) -> None:
    assert Peer(FakeServer()).modern(method)["error"]["code"] == -32601


def test_a_legacy_server_does_not_know_discover() -> None:
    assert Peer(FakeServer(eras=["legacy"])).modern("server/discover")["error"]["code"] == -32601


def test_a_legacy_server_may_answer_discover_with_legacy_revisions_only() -> None:
    peer = Peer(FakeServer(eras=["legacy"], discover="answer"))
    assert peer.modern("server/discover")["result"]["supportedVersions"] == [*reversed(LEGACY)]
    assert peer.modern("tools/list")["error"]["code"] == -32600


def test_resources_and_prompts_are_unknown_to_a_server_without_any() -> None:
    peer = Peer(FakeServer())
    for method in ("resources/list", "resources/templates/list", "prompts/list"):
        assert peer.modern(method)["error"]["code"] == -32601


def test_both_families_are_served_on_one_connection() -> None:
    fake = FakeServer()
    fake.tool("one")
    peer = Peer(fake)
    peer.shake_hands("2025-06-18")
    assert "resultType" not in peer.ask("tools/list")["result"]
    assert peer.modern("tools/list")["result"]["resultType"] == "complete"
    assert [one.version for one in fake.ledger] == [None, "2025-06-18", "2026-07-28"]


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("2024-11-05", {"name", "description", "inputSchema"}),
        ("2025-03-26", {"name", "description", "inputSchema", "annotations"}),
        ("2025-06-18", {"name", "description", "inputSchema", "annotations", "title", "outputSchema"}),
    ],
)
def test_a_definition_shows_what_its_revision_knows(version: str, known: set[str]) -> None:
    fake = FakeServer()
    fake.tool(
        "full",
        description="d",
        title="t",
        output_schema={"type": "object"},
        annotations={"readOnlyHint": True},
    )
    peer = Peer(fake)
    peer.shake_hands(version)
    assert set(peer.ask("tools/list")["result"]["tools"][0]) == known


def test_structured_content_and_progress_messages_are_left_out_where_unknown() -> None:
    fake = FakeServer()
    fake.tool("sum", returns={"sum": 1}, progress=[(1, 2, "half")])
    peer = Peer(fake)
    peer.shake_hands("2024-11-05")
    result = peer.ask("tools/call", {"name": "sum"}, progressToken=3)["result"]
    assert result == {"content": [{"type": "text", "text": '{"sum": 1}'}]}
    assert peer.notes[0]["params"] == {"progressToken": 3, "progress": 1, "total": 2}


def test_a_raw_definition_is_listed_verbatim_among_the_good_ones() -> None:
    fake = FakeServer()
    fake.tool("good")
    fake.raw_tool({"name": 5, "inputSchema": None, "annotations": "?"})
    peer = Peer(fake)
    peer.shake_hands("2024-11-05")
    assert peer.ask("tools/list")["result"]["tools"] == [
        {"name": "good", "inputSchema": {"type": "object"}},
        {"name": 5, "inputSchema": None, "annotations": "?"},
    ]


def walk(peer: Peer, limit: int = 8) -> list[tuple[list[str], str | None]]:
    pages, cursor = [], None
    for _ in range(limit):
        result = peer.modern("tools/list", {} if cursor is None else {"cursor": cursor})["result"]
        cursor = result.get("nextCursor")
        pages.append(([tool["name"] for tool in result["tools"]], cursor))
        if cursor is None:
            break
    return pages


@pytest.mark.parametrize(
    ("cursors", "expected"),
    [
        ("plain", [(["a", "b"], "2"), (["c", "d"], "4"), (["e"], None)]),
        ("empty", [(["a", "b"], ""), (["c", "d"], "4"), (["e"], None)]),
        ("endless", [(["a", "b"], "2"), (["c", "d"], "4"), (["e"], "6"), ([], "8"), ([], "10")]),
        (
            "cyclic",
            [(["a", "b"], "2"), (["c", "d"], "4"), (["e"], "0"), (["a", "b"], "2"), (["c", "d"], "4")],
        ),
    ],
)
def test_cursors_end_as_they_are_set_up_to(cursors: Any, expected: list[Any]) -> None:
    fake = FakeServer(page_size=2, cursors=cursors)
    for name in "abcde":
        fake.tool(name)
    assert walk(Peer(fake), 5) == expected


def test_a_cursor_of_somebody_else_is_invalid() -> None:
    assert Peer(FakeServer()).modern("tools/list", {"cursor": "x"})["error"]["code"] == -32602


def test_a_missing_resource_has_the_code_of_its_family() -> None:
    fake = FakeServer()
    fake.resource("memo://{id}", "any memo")
    fake.resource("file:///a", "text")
    peer = Peer(fake)
    assert peer.modern("resources/read", {"uri": "memo://4"})["result"]["contents"] == [
        {"uri": "memo://4", "text": "any memo"}
    ]
    assert [one["uri"] for one in peer.modern("resources/list")["result"]["resources"]] == ["file:///a"]
    templates = peer.modern("resources/templates/list")["result"]["resourceTemplates"]
    assert [one["uriTemplate"] for one in templates] == ["memo://{id}"]
    assert peer.modern("resources/read", {"uri": "x://"})["error"]["code"] == -32602
    peer.shake_hands("2025-11-25")
    assert peer.ask("resources/read", {"uri": "x://"})["error"]["code"] == -32002


def test_unknown_tools_and_prompts_and_missing_arguments_are_invalid_params() -> None:
    fake = FakeServer()
    fake.prompt("greet", "Hello {who}", arguments=["who"])
    peer = Peer(fake)
    for method, params in (
        ("tools/call", {"name": "nope"}),
        ("prompts/get", {"name": "nope"}),
        ("prompts/get", {"name": "greet"}),
    ):
        assert peer.modern(method, params)["error"]["code"] == -32602


@pytest.mark.parametrize(
    "message",
    [[], "text", {}, {"jsonrpc": "1.0", "id": 1, "method": "ping"}, {"jsonrpc": "2.0", "id": 1},
     {"jsonrpc": "2.0", "id": None, "method": "ping"}, {"jsonrpc": "2.0", "id": True, "method": "ping"},
     {"jsonrpc": "2.0", "id": 1.5, "method": "ping"}, {"jsonrpc": "2.0", "id": 1, "method": 3},
     {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}],
)  # fmt: skip
def test_what_is_no_message_is_an_invalid_request(message: Any) -> None:
    with pytest.raises(RpcError) as refused:
        Conversation(FakeServer()).open(message, Lines())
    assert refused.value.code == -32600


def test_a_cancelled_request_is_recorded_once_and_told_to_whoever_plays_it() -> None:
    fake = FakeServer()
    fake.tool("slow", delay=5)
    conversation, told = Conversation(fake), []
    meta = {VERSION: "2026-07-28", CAPABILITIES: {}}
    request = {"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": {"name": "slow", "_meta": meta}}
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "a"}}
    exchange = conversation.open(request, Lines())
    assert exchange is not None
    exchange.on_cancel = lambda: told.append(1)
    assert next(exchange.steps) == Pause(5)
    for _ in range(2):
        conversation.open(cancel, Lines())
    conversation.open({**cancel, "params": {"requestId": "unknown"}}, Lines())
    assert (fake.calls[0].cancelled, fake.calls[0].executed, told) == (True, False, [1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"versions": ["2099-01-01"]}, "unknown protocol revision '2099-01-01'"),
        ({"versions": ["2025-06-18"]}, "no protocol revision left for the modern family"),
        ({"eras": []}, "at least one family"),
    ],
)
def test_a_server_without_a_revision_to_speak_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FakeServer(**options)
