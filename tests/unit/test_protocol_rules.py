"""Limits, oversized frames, headers and era verdicts."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import pytest

from trunkline.connection.negotiation import Negotiated, judge_discovery, judge_handshake
from trunkline.core.limits import Limits
from trunkline.errors import ProtocolError
from trunkline.protocol.eras import ERAS, MODERN, request_meta
from trunkline.protocol.frames import (
    Broken,
    Encoder,
    Frame,
    RpcError,
    decode_frame,
    decode_frames,
    recover_id,
)
from trunkline.protocol.headers import encode_argument, encode_value
from trunkline.protocol.lines import Endless, LineFramer, Oversized
from trunkline.protocol.multiplexer import Multiplexer
from trunkline.protocol.sse import EventParser, EventTooLarge


def test_a_frame_over_the_cap_is_reported_when_it_crosses_and_when_it_ends() -> None:
    framer = LineFramer(10)
    assert framer.feed(b"x" * 8) == []
    (crossed,) = framer.feed(b"y" * 8)
    assert isinstance(crossed, Oversized)
    assert not crossed.ended
    assert crossed.head == b"x" * 8 + b"y" * 8
    ended, following = framer.feed(b"END\nok\n")
    assert isinstance(ended, Oversized)
    assert ended.ended
    assert ended.tail.endswith(b"END")
    assert following == b"ok"


def test_a_frame_that_crosses_and_ends_in_one_chunk_leaves_the_next_frame_whole() -> None:
    framer = LineFramer(4)
    events = framer.feed(b"toolong\nfine\n")
    assert [type(event) for event in events] == [Oversized, Oversized, bytes]
    assert events[-1] == b"fine"


def test_a_frame_without_end_is_reported_at_twice_the_cap() -> None:
    framer = LineFramer(10)
    events = [event for _ in range(30) for event in framer.feed(b"x")]
    assert [type(event) for event in events] == [Oversized, Endless]


def test_an_endless_frame_takes_no_more_memory_than_the_cap() -> None:
    framer = LineFramer(1024 * 1024)
    tracemalloc.start()
    for _ in range(64):
        framer.feed(b"x" * 256 * 1024)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert framer.pending_bytes == 64 * 256 * 1024
    assert peak < 2 * 1024 * 1024


def test_brackets_inside_strings_do_not_count_as_nesting() -> None:
    frame = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "result": {"text": '[{"' * 5000}})
    assert isinstance(decode_frame(frame, Limits()), Frame)


@pytest.mark.parametrize("levels", [65, 1000, 100_000])
def test_a_result_nested_too_deep_names_the_request_it_answers(levels: int) -> None:
    frame = b'{"jsonrpc":"2.0","id":5,"result":' + b"[" * levels + b"]" * levels + b"}"
    broken = decode_frame(frame, Limits())
    assert isinstance(broken, Broken)
    assert broken.id == 5


def test_a_result_with_too_many_values_is_refused_before_it_is_built() -> None:
    frame = b'{"result":[' + b"0," * 300_000 + b'0],"jsonrpc":"2.0","id":9}'
    broken = decode_frame(frame, Limits())
    assert isinstance(broken, Broken)
    assert broken.id == 9
    assert "200,000 values" in broken.reason


def test_invalid_utf8_names_the_request_it_answers() -> None:
    broken = decode_frame(b'{"jsonrpc":"2.0","id":3,"result":{"text":"\xff\xfe"}}', Limits())
    assert isinstance(broken, Broken)
    assert broken.id == 3


def test_one_bad_message_of_a_batch_leaves_the_others() -> None:
    (good, _), (bad, _) = decode_frames(b'[{"id":1,"result":{}},{"id":2,"result":{},"method":7}]', Limits())
    assert isinstance(good, Frame)
    assert isinstance(bad, Broken)


def test_the_id_at_the_end_of_a_long_frame_is_read_from_its_tail() -> None:
    assert recover_id(b'{"result":{"content":[{"type":"text"', b'xxxx"}]},"jsonrpc":"2.0","id":12}') == 12


def test_a_modern_call_carries_version_identity_capabilities_and_progress_token() -> None:
    encoder = Encoder(request_meta(MODERN, {"name": "app", "version": "1"}, {}))
    message = msgspec.json.decode(encoder.call_tool(7, 'with "quotes"', {"a": [1, None]}))
    assert message == {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "tools/call",
        "params": {
            "name": 'with "quotes"',
            "arguments": {"a": [1, None]},
            "_meta": {
                "progressToken": 7,
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "app", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    }


def test_a_legacy_call_carries_only_the_progress_token() -> None:
    message = msgspec.json.decode(Encoder({}).call_tool(1, "t", {}))
    assert message["params"]["_meta"] == {"progressToken": 1}


def test_members_of_meta_that_the_caller_gave_are_kept_beside_the_eras_own() -> None:
    encoder = Encoder(request_meta(MODERN, {"name": "a", "version": "1"}, {}))
    message = msgspec.json.decode(encoder.request(1, "tools/list", {"_meta": {"mine": 1}, "cursor": "x"}))
    assert message["params"]["_meta"]["mine"] == 1
    assert message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert message["params"]["cursor"] == "x"


def test_an_answer_to_an_id_of_another_type_is_a_stray() -> None:
    table: Multiplexer[str] = Multiplexer()
    number = table.next_id()
    table.open(number, "waiting")
    for foreign in (str(number), float(number), True, None, [number]):
        assert table.take(foreign) is None
    assert table.strays == 5
    assert table.take(number) == "waiting"
    assert table.take(number) is None


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("us-west1", "us-west1"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
    ],
)
def test_header_values_are_encoded_as_the_specification_shows(value: str, header: str) -> None:
    assert encode_value(value) == header


@pytest.mark.parametrize(("value", "header"), [(True, "true"), (False, "false"), (-7, "-7"), (None, None)])
def test_arguments_in_headers_are_spelled_as_the_specification_says(value: Any, header: str | None) -> None:
    assert encode_argument(value) == header


def test_an_event_over_the_cap_is_refused_and_comments_never_add_up() -> None:
    parser = EventParser(100)
    for _ in range(1000):
        assert parser.feed(b": keep-alive\n") == []
    with pytest.raises(EventTooLarge):
        parser.feed(b"data: " + b"x" * 101)


def test_an_event_joins_its_data_lines_and_keeps_id_and_retry() -> None:
    parser = EventParser(1000)
    (event,) = parser.feed(b"\xef\xbb\xbfid: 7\nretry: 250\nevent: message\ndata: a\ndata:b\n\n")
    assert (event.data, event.id, parser.retry_ms) == (b"a\nb", "7", 250)


def discovered(**members: Any) -> Frame:
    return Frame(id=1, result={"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, **members})


def refused(code: int, data: Any = None) -> Frame:
    return Frame(id=1, error=RpcError(code=code, message="no", data=data))


def test_a_discover_result_with_our_revision_means_modern() -> None:
    agreed = judge_discovery(discovered(instructions="be kind"), "s")
    assert isinstance(agreed, Negotiated)
    assert (agreed.era, agreed.instructions) == (MODERN, "be kind")


@pytest.mark.parametrize(
    "frame",
    [
        refused(-32601),
        refused(-32602),
        refused(-32000),
        refused(-32700),
        refused(0),
        Frame(id=1, result={"hello": 1}),
        Frame(id=1, result=None),
        discovered(supportedVersions=["2025-11-25"]),
        refused(-32022, {"supported": ["2025-06-18"]}),
    ],
)
def test_anything_that_is_no_modern_answer_means_the_legacy_handshake(frame: Frame) -> None:
    assert judge_discovery(frame, "s") == "initialize"


def test_a_modern_server_without_a_common_revision_is_an_error_that_names_both_sides() -> None:
    with pytest.raises(ProtocolError, match="2099-01-01") as caught:
        judge_discovery(refused(-32022, {"supported": ["2099-01-01"]}), "s")
    assert "2026-07-28" in str(caught.value)
    assert caught.value.delivery == "never_sent"


@pytest.mark.parametrize("revision", [revision for revision, era in ERAS.items() if era.family == "legacy"])
def test_every_legacy_revision_is_accepted_as_the_server_answers_it(revision: str) -> None:
    agreed = judge_handshake(Frame(id=1, result={"protocolVersion": revision}), "s")
    assert agreed.era.revision == revision


@pytest.mark.parametrize("result", [None, {}, {"protocolVersion": "1999-01-01"}, {"protocolVersion": 5}, []])
def test_a_handshake_with_an_unknown_revision_is_refused(result: Any) -> None:
    with pytest.raises(ProtocolError):
        judge_handshake(Frame(id=1, result=result), "s")
