"""What is asked of servers and what they say of changes, as values; and the inbox where it waits."""

from __future__ import annotations

import pytest

from trunkline.core.backoff import Backoff
from trunkline.protocol.frames import Frame
from trunkline.protocol.subscriptions import (
    META_SUBSCRIPTION,
    Filter,
    concerned,
    declared_lists,
    declares_updates,
    subscription_of,
)
from trunkline.supervision.changes import compare_lists
from trunkline.transport.link import Inbox

pytestmark = pytest.mark.anyio

UPDATED = "notifications/resources/updated"
MESSAGE = "notifications/message"


def test_a_filter_asks_only_for_what_is_wanted_and_reads_itself_back():
    asked = Filter(lists=frozenset({"tools", "prompts"}), uris=frozenset({"r:b", "r:a"}))
    params = asked.to_params()
    assert params == {
        "notifications": {
            "toolsListChanged": True,
            "promptsListChanged": True,
            "resourceSubscriptions": ["r:a", "r:b"],
        }
    }
    assert Filter.read(params) == asked
    assert Filter().to_params() == {"notifications": {}}
    assert not Filter()


@pytest.mark.parametrize(
    "params",
    [
        None,
        [],
        {},
        {"notifications": 7},
        {"notifications": {"toolsListChanged": "yes"}},
        {"notifications": {"resourceSubscriptions": "r:a"}},
        {"notifications": {"resourceSubscriptions": [7]}},
    ],
)
def test_what_cannot_be_read_is_not_acknowledged(params: object):
    assert Filter.read(params) == Filter()


def test_only_what_a_server_declares_in_so_many_words_counts():
    declared = {
        "tools": {"listChanged": True},
        "prompts": {"listChanged": 1},
        "resources": {"subscribe": True},
    }
    assert declared_lists(declared) == {"tools"}
    assert declares_updates(declared)
    assert declared_lists({"tools": None}) == frozenset()
    assert not declares_updates({"resources": {}})


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("file:///a", ["file:///a"]),
        ("file:///a/b", ["file:///a"]),
        ("file:///a#top", ["file:///a"]),
        ("file:///ab", []),
        ("db://x/y", ["db://x/"]),
        ("db://x", []),
    ],
)
def test_an_update_concerns_the_resource_and_the_whole_it_is_a_part_of(uri: str, found: list[str]):
    assert concerned(uri, ["file:///a", "db://x/"]) == found


def test_the_stream_of_a_notification_is_read_from_its_meta_only():
    assert subscription_of({"_meta": {META_SUBSCRIPTION: 7}}) == 7
    assert [subscription_of(one) for one in (None, [], {}, {"_meta": 3}, {"_meta": {}})] == [None] * 5


def test_waits_double_within_their_bounds_and_are_spread_over_all_of_it():
    backoff = Backoff(first=1.0, longest=30.0)
    assert [backoff.delay(failures, 1.0) for failures in (1, 2, 3, 6, 500)] == [1, 2, 4, 30, 30]
    assert backoff.delay(3, 0.0) == 0
    assert backoff.delay(3, 0.25) == 1


def test_a_list_is_compared_by_name_and_definition():
    before = [{"name": "a", "x": 1}, {"name": "b"}, {"name": "c"}, {"broken": 1}]
    after = [{"name": "a", "x": 2}, {"name": "d"}, {"name": "c"}, 7]
    change = compare_lists("s", "tools", before, after)
    assert change is not None
    assert (change.added, change.removed, change.changed) == (("d",), ("b",), ("a",))
    assert compare_lists("s", "tools", before, list(before)) is None
    moved = compare_lists("s", "tools", before[1:], [before[2], before[1], before[3]])
    assert moved is not None
    assert (moved.added, moved.removed, moved.changed) == ((), (), ())


def test_lists_of_resources_and_templates_are_compared_by_uri():
    change = compare_lists("s", "resources", [{"uri": "r:a", "name": "n"}], [{"uri": "r:b", "name": "n"}])
    assert change is not None
    assert (change.added, change.removed) == (("r:b",), ("r:a",))
    change = compare_lists("s", "templates", [], [{"uriTemplate": "r:{x}", "name": "n"}])
    assert change is not None
    assert change.added == ("r:{x}",)


def take_all(inbox: Inbox) -> list[Frame]:
    frames = []
    while (frame := inbox.take()) is not None:
        frames.append(frame)
    return frames


def test_the_inbox_keeps_one_of_what_says_the_same_and_none_is_lost_to_a_flood():
    inbox = Inbox(max_items=10)
    for number in range(100):
        inbox.put(Frame(method=UPDATED, params={"uri": f"r:{number % 3}"}))
        inbox.put(Frame(method="notifications/tools/list_changed"))
        inbox.put(Frame(method=MESSAGE, params={"data": number}))
    frames = take_all(inbox)
    assert [frame.params["uri"] for frame in frames if frame.method == UPDATED] == ["r:0", "r:1", "r:2"]
    assert len([frame for frame in frames if frame.method == MESSAGE]) == 10
    assert len(frames) == 14
    assert inbox.dropped == 90
    assert not inbox.take_missed()


def test_the_inbox_is_bounded_in_bytes_and_keeps_the_newest():
    inbox = Inbox(max_bytes=1000)
    for number in range(10):
        inbox.put(Frame(method=MESSAGE, params={"data": number}), 400)
    assert [frame.params["data"] for frame in take_all(inbox)] == [8, 9]
    inbox.put(Frame(method=MESSAGE, params={"data": "large"}), 5000)
    assert len(take_all(inbox)) == 1
    inbox.put(Frame(method=MESSAGE), 1000)
    assert len(take_all(inbox)) == 1


def test_the_inbox_says_when_an_update_was_lost_to_too_many_others():
    inbox = Inbox(max_items=10)
    for number in range(11):
        inbox.put(Frame(method=UPDATED, params={"uri": f"r:{number}"}), 50)
    assert inbox.take_missed()
    assert not inbox.take_missed()
    assert len(take_all(inbox)) == 10


def test_many_large_updates_take_no_more_than_other_messages():
    inbox = Inbox(max_bytes=100_000)
    for number in range(100):
        inbox.put(Frame(method=UPDATED, params={"uri": f"r:{number}"}), 20_000)
    assert len(take_all(inbox)) == 5
    assert inbox.take_missed()


async def test_the_inbox_ends_once_it_is_closed_and_empty():
    inbox = Inbox()
    inbox.put(Frame(method=MESSAGE))
    inbox.miss()
    inbox.close()
    assert await inbox.wait()
    take_all(inbox)
    assert await inbox.wait()
    assert inbox.take_missed()
    assert not await inbox.wait()
