"""Framing, SSE, limits and ids hold for every input and every way of cutting it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trunkline.core.limits import Limits
from trunkline.protocol.frames import Broken, Frame, decode_frame, recover_id
from trunkline.protocol.limits import LimitExceeded, check_shape
from trunkline.protocol.lines import LineFramer
from trunkline.protocol.sse import EventParser

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges) if start < end]


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(
    st.lists(st.binary(max_size=40).map(lambda part: part.replace(b"\n", b"")), max_size=8),
    st.lists(st.integers(0)),
)
def test_lines_do_not_depend_on_how_the_stream_is_cut(lines: list[bytes], places: list[int]) -> None:
    framer = LineFramer(1000)
    found = [
        line for chunk in cut(b"".join(line + b"\n" for line in lines), places) for line in framer.feed(chunk)
    ]
    assert found == [line for line in lines if line]
    assert framer.finish() == b""


@given(
    st.lists(st.text(alphabet="ab\u2028é:", max_size=20), min_size=1, max_size=5), st.lists(st.integers(0))
)
def test_events_do_not_depend_on_how_the_stream_is_cut_or_its_lines_end(
    data: list[str], places: list[int]
) -> None:
    for newline in (b"\n", b"\r\n", b"\r"):
        stream = b"".join(
            b"".join(b"data: " + line.encode() + newline for line in block.split("\u2028")) + newline
            for block in data
        )
        parser = EventParser(10_000)
        found = [event.data for chunk in cut(stream, places) for event in parser.feed(chunk)]
        assert found == [block.replace("\u2028", "\n").encode() for block in data]


@given(JSON, st.integers(1, 6))
def test_the_depth_check_agrees_with_the_decoded_value(value: Any, allowed: int) -> None:
    frame = msgspec.json.encode(value)
    limits = Limits(depth=allowed)
    if depth_of(value) > allowed:
        with pytest.raises(LimitExceeded):
            check_shape(frame, limits)
    else:
        check_shape(frame, limits)


@given(st.binary(max_size=200))
def test_decoding_arbitrary_bytes_never_raises(data: bytes) -> None:
    assert isinstance(decode_frame(data, Limits()), Frame | Broken)


@given(st.one_of(st.integers(0, 2**53), st.text(min_size=1, max_size=10)), JSON, st.booleans())
def test_the_id_of_a_response_is_recovered_from_either_end(request_id: Any, result: Any, first: bool) -> None:
    members = {"jsonrpc": "2.0", "id": request_id, "result": result}
    if not first:
        members = {"result": result, "jsonrpc": "2.0", "id": request_id}
    assert recover_id(json.dumps(members).encode()) == request_id


@given(JSON)
def test_an_id_inside_the_payload_is_never_taken_for_the_envelope(value: Any) -> None:
    inner = {"result": {"id": 7, "more": value}, "jsonrpc": "2.0"}
    assert recover_id(json.dumps(inner).encode()) is None


@example([(0, True), (0, True), (93, False)], [39])
@given(st.lists(st.tuples(st.integers(0, 120), st.booleans()), max_size=8), st.lists(st.integers(0)))
def test_events_over_the_cap_are_skipped_alone_however_the_stream_is_cut(
    sizes: list[tuple[int, bool]], places: list[int]
) -> None:
    cap = 100
    stream, expected = b"", []
    for number, (size, spread) in enumerate(sizes):
        text = b"%d:" % number + b"x" * size
        lines = [text[: len(text) // 2], text[len(text) // 2 :]] if spread else [text]
        event = b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"
        stream += event
        expected.append(b"\n".join(lines) if len(event) - len(lines) - 1 <= cap else None)
    parser = EventParser(cap, skips=True)
    found = [event for chunk in cut(stream, places) for event in parser.feed(chunk)]
    assert [None if event.oversized else event.data for event in found] == expected
    for number, event in enumerate(found):
        if event.oversized is not None:
            assert event.oversized.head.startswith(b"%d:" % number)
            assert event.oversized.tail.endswith(b"x")
