"""The records of a store: read back as they were written, and nothing else is taken for one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.limits import Limits
from trunkline.runtime.memory import read_items
from trunkline.store.port import SALT, MemoryStore
from trunkline.store.record import (
    VERSION,
    BrokenRecordError,
    Lists,
    NewerRecordError,
    Way,
    decode,
    encode_lists,
    encode_way,
    name_program,
)

TOOL = {"name": "z", "inputSchema": {"type": "object", "properties": {"b": {}, "a": {}}}, "annotations": {}}


def lists(**kinds: Any) -> Lists:
    return decode(encode_lists("shop", {"tools": {}}, kinds), Lists)


def test_a_record_is_read_back_as_it_was_written() -> None:
    way = Way(server="shop", revision="2025-11-25", transport="sse", program="shop 1", starts=3)
    assert decode(encode_way(way), Way) == way
    found = lists(tools=(TOOL,), prompts=())
    assert read_items(found, Limits()) == {"tools": (TOOL,), "prompts": ()}
    assert (found.server, bytes(found.capabilities)) == ("shop", b'{"tools":{}}')


def test_the_order_of_parameters_is_kept() -> None:
    (tool,) = read_items(lists(tools=(TOOL,)), Limits())["tools"]
    assert list(tool["inputSchema"]["properties"]) == ["b", "a"]


@pytest.mark.parametrize("kind", [Way, Lists])
def test_a_record_of_a_newer_version_is_told_from_a_broken_one(kind: Any) -> None:
    with pytest.raises(NewerRecordError):
        decode(b'{"version":%d,"lists":7,"revision":[]}' % (VERSION + 1), kind)


@pytest.mark.parametrize("kind", [Way, Lists])
@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"[]", b"{}", b'{"version":"1"}', b'{"version":1,"revision":', b"[" * 100_000]
)
def test_what_is_no_record_is_broken(kind: Any, data: bytes) -> None:
    with pytest.raises(BrokenRecordError):
        decode(data, kind)


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: b'{"version":1,"lists":' + tail))
def test_arbitrary_bytes_are_a_record_or_refused(data: bytes) -> None:
    for kind in (Way, Lists):
        try:
            found: Any = decode(data, kind)
        except (BrokenRecordError, NewerRecordError):
            continue
        assert found.version <= VERSION


def test_limits_hold_again_for_what_is_remembered() -> None:
    deep: Any = {"name": "deep"}
    for _ in range(70):
        deep = {"x": deep}
    wide = {"name": "wide", "x": list(range(50))}
    found = lists(tools=(TOOL, deep, wide, TOOL), unknown=(TOOL,))
    assert read_items(found, Limits(nodes=40)) == {"tools": (TOOL, TOOL)}
    assert read_items(found, Limits(items=1)) == {"tools": (TOOL,)}
    assert read_items(found, Limits(frame_bytes=100))["tools"] == (TOOL, TOOL)


def test_the_name_of_a_program_is_bounded() -> None:
    assert name_program({"name": "x" * 1000, "version": {}}) == "x" * 200
    assert name_program({}) == "None None"


def test_a_store_in_memory_forgets_the_oldest_and_keeps_its_salt() -> None:
    store = MemoryStore()
    store.put(SALT, b"s")
    for number in range(2100):
        store.put(f"{number}", b"x")
    store.drop("2099")
    store.drop("2099")
    assert (store.get(SALT), store.get("0"), store.get("2098")) == (b"s", None, b"x")
    assert len(store.kept) == 2047
