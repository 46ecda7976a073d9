"""Kept answers as an application meets them: through `connect`, with servers that change and fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import trunkline
from trunkline.core.events import Degraded
from trunkline.core.principal import Principal
from trunkline.errors import OutcomeUnknownError, UnavailableError
from trunkline.testing import FakeServer, Fault, VirtualNetwork

pytestmark = pytest.mark.anyio

READ = {"read_only": True, "cache": {"ttl": 60.0}}
KEPT = {"cache": {"ttl": 60.0, "hints": "ignore"}}
URI = "file:///notes/a"


def counting(**more: Any) -> FakeServer:
    """Give a server whose tools say how often they were called."""
    server = FakeServer(**more)
    counts: dict[str, int] = {}

    def count(name: str) -> Callable[[Mapping[str, Any]], Any]:
        def answer(arguments: Mapping[str, Any]) -> Any:
            counts[name] = counts.get(name, 0) + 1
            return {"n": counts[name], **arguments}

        return answer

    for name in ("look", "find", "write"):
        server.tool(name)(count(name))
    server.resource(URI, "one")
    server.prompt("greet", "hello {name}", arguments=["name"])
    return server


def opened(server: object, **tools: Any) -> trunkline.Trunk:
    policy = {"tools": {f"db.{name}": rules for name, rules in tools.items()}}
    return trunkline.connect({"db": server}, policy=policy)


def count_of(server: FakeServer, method: str) -> int:
    return sum(one.method == method for one in server.ledger)


async def test_a_tool_that_policy_calls_read_only_is_asked_once_within_its_time() -> None:
    async with opened(server := counting(), look=READ) as trunk:
        replies = [await trunk.call("db.look", {"q": 1}) for _ in range(3)]
        assert [(one.structured["n"], one.cached) for one in replies] == [(1, False), (1, True), (1, True)]
        assert replies[2].call_id != replies[1].call_id
        await asyncio.sleep(61)
        assert not (await trunk.call("db.look", {"q": 1})).cached
        stats = trunk.cache.stats
        assert (stats.hits, stats.misses, stats.stored, stats.entries) == (2, 2, 2, 1)
        assert stats.hit_rate == 0.5
        assert trunk.cache.by_server["db"] == stats
    assert len(server.calls) == 2


async def test_a_caller_asks_anew_or_says_how_old_an_answer_may_be() -> None:
    async with opened(counting(), look=READ) as trunk:
        await trunk.call("db.look")
        await asyncio.sleep(10)
        aged = await trunk.call("db.look", max_age=20)
        assert (aged.cached, round(aged.age)) == (True, 10)
        assert (await trunk.call("db.look", max_age=5)).structured["n"] == 2
        assert (await trunk.call("db.look", cache=False)).structured["n"] == 3
        assert (await trunk.call("db.look")).structured["n"] == 3
        assert (await trunk.start("db.look", cache=False)).structured["n"] == 4
        assert await trunk.call("db.look", as_=dict, cache=False) == {"n": 5}


async def test_a_tool_of_a_server_that_is_not_trusted_is_not_cached_on_its_word() -> None:
    server = FakeServer()
    server.tool("look", returns="x", annotations={"readOnlyHint": True})
    for trust, asked in ((False, 2), (True, 1)):
        policy = {"servers": {"db": {"trust": trust, "cache": {"ttl": 60.0}}}}
        async with trunkline.connect({"db": server}, policy=policy) as trunk:
            before = len(server.calls)
            await trunk.call("db.look")
            await trunk.call("db.look")
            assert len(server.calls) - before == asked


async def test_without_policy_nothing_is_kept_and_no_layer_is_there() -> None:
    async with trunkline.connect({"db": counting()}) as trunk:
        assert [(await trunk.call("db.look")).structured["n"] for _ in range(2)] == [1, 2]
        assert {"cache", "coalesce"} & {layer.name for layer in trunk.layers("db", "look")} == set()
        assert trunk.cache.by_server == {}


async def test_resources_and_prompts_are_kept_as_the_server_s_policy_says() -> None:
    server = counting()
    async with trunkline.connect(
        {"db": server}, policy={"servers": {"db": {"cache": {"ttl": 9.0, "hints": "ignore"}}}}
    ) as trunk:
        for _ in range(2):
            reply = await trunk.read(URI, "db")
            prompt = await trunk.get_prompt("db.greet", {"name": "Anna"})
        assert (reply.cached, reply.text, reply.uri) == (True, "one", URI)
        assert (prompt.cached, prompt.messages[0].text) == (True, "hello Anna")
        assert not (await trunk.get_prompt("db.greet", {"name": "Ben"})).cached
        assert not (await trunk.read(URI, "db", cache=False)).cached
    assert (count_of(server, "resources/read"), count_of(server, "prompts/get")) == (2, 2)


async def test_the_server_s_own_time_is_taken_where_policy_says_so() -> None:
    server = FakeServer(eras=["modern"], ttl_ms=5_000)
    server.resource(URI, "one")
    policy = {"servers": {"db": {"cache": {"hints": "follow"}}}}
    async with trunkline.connect({"db": server}, policy=policy) as trunk:
        await trunk.read(URI, "db")
        await asyncio.sleep(4.9)
        assert (await trunk.read(URI, "db")).cached
        await asyncio.sleep(0.2)
        assert not (await trunk.read(URI, "db")).cached


async def test_calling_a_tool_that_writes_forgets_what_it_invalidates() -> None:
    write = {"cache": {"invalidates": ["db.look", "file:///notes/*"]}}
    server = counting()
    policy = {
        "servers": {"db": KEPT},
        "tools": {"db.look": READ, "db.find": READ, "db.write": write},
    }
    async with trunkline.connect({"db": server}, policy=policy) as trunk:
        for name in ("look", "find"):
            await trunk.call(f"db.{name}")
        await trunk.read(URI, "db")
        assert not (await trunk.call("db.write")).cached
        assert not (await trunk.call("db.look")).cached
        assert (await trunk.call("db.find")).cached
        assert not (await trunk.read(URI, "db")).cached
        server.fault("write", Fault.crash_before_reply)
        with pytest.raises(OutcomeUnknownError):
            await trunk.call("db.write")
        assert not (await trunk.call("db.look")).cached
        assert trunk.cache.stats.invalidated == 4


async def test_a_write_that_was_not_sent_invalidates_nothing() -> None:
    async with opened(counting(), look=READ, write={"cache": {"invalidates": ["look"]}}) as trunk:
        await trunk.call("db.look")
        with pytest.raises(trunkline.InvalidArgumentsError):
            await trunk.call("db.write", {"a": object()})
        assert (await trunk.call("db.look")).cached


async def test_what_is_cleared_by_name_arguments_or_principal_is_asked_for_again() -> None:
    anna = Principal(name="anna")
    async with opened(counting(), look=READ, find=READ) as trunk:

        async def fill() -> None:
            for arguments in ({"q": 1}, {"q": 2}):
                await trunk.call("db.look", arguments)
                await trunk.call("db.find", arguments)
                with trunk.acting_as(anna):
                    await trunk.call("db.look", arguments)

        for count, chosen in (
            (1, {"tool": "db.find", "arguments": {"q": 2}}),
            (2, {"tool": "look", "arguments": {"q": 1}}),
            (2, {"principal": anna}),
            (4, {"tool": "db.l*"}),
            (6, {"server": "d*"}),
            (0, {"server": "other"}),
            (0, {"uri": "*"}),
            (6, {}),
        ):
            await fill()
            assert await trunk.cache.clear(**chosen) == count, chosen


async def test_what_a_prompt_was_asked_with_can_be_cleared() -> None:
    async with trunkline.connect({"db": counting()}, policy={"servers": {"db": KEPT}}) as trunk:
        for name in ("Anna", "Ben"):
            await trunk.get_prompt("db.greet", {"name": name})
        assert await trunk.cache.clear(arguments={"name": "Anna"}) == 1
        assert not (await trunk.get_prompt("db.greet", {"name": "Anna"})).cached
        assert (await trunk.get_prompt("db.greet", {"name": "Ben"})).cached


async def test_a_request_with_more_than_a_uri_is_another_one() -> None:
    server = counting()
    async with trunkline.connect({"db": server}, policy={"servers": {"db": KEPT}}) as trunk:
        replies = [
            await trunk.request("db", "resources/read", {"uri": URI, **more})
            for more in ({}, {"vendor": 1}, {"vendor": 2}, {"vendor": 1})
        ]
        assert [one.cached for one in replies] == [False, False, False, True]


async def test_an_updated_resource_is_read_again_and_so_is_its_folder() -> None:
    server = FakeServer(eras=["modern"], watchable=True)
    for uri in (URI, "file:///notes", "file:///notesbook"):
        server.resource(uri, "text")
    opening = trunkline.connect({"db": server}, policy={"servers": {"db": KEPT}})
    async with opening as trunk, await trunk.subscribe(URI) as updates:
        for uri in server.resources:
            await trunk.read(uri, "db")
        server.notify_resource(URI)
        await anext(aiter(updates))
        assert [(await trunk.read(uri, "db")).cached for uri in server.resources] == [False, False, True]


async def test_a_tool_that_is_listed_otherwise_is_asked_again() -> None:
    server = FakeServer(eras=["modern"], watchable=True)
    server.tool("look", returns="old")
    server.tool("find", returns="x")
    async with opened(server, look=READ, find=READ) as trunk:
        await trunk.call("db.look")
        await trunk.call("db.find")
        events = trunk.events(trunkline.ListChanged)
        server.tool("look", returns="new", description="another one")
        server.notify_list("tools")
        await anext(aiter(events))
        assert (await trunk.call("db.look")).text == "new"
        assert (await trunk.call("db.find")).cached


async def test_a_server_that_is_gone_is_stood_in_for_until_that_is_too_old() -> None:
    server = counting()
    look = {"read_only": True, "retry": {"attempts": 1}, "cache": {"ttl": 1.0, "stale_if_error": 100.0}}
    async with opened(server, look=look) as trunk:
        await trunk.call("db.look")
        await asyncio.sleep(10)
        server.fault("*", Fault.crash_before_reply)
        server.discover = "exit"
        events = trunk.events()
        reply = await trunk.call("db.look")
        while not isinstance(told := await anext(events), Degraded):
            pass
        assert (told.call_id, told.reason, told.by) == (reply.call_id, reply.reason, "an earlier answer")
        assert (reply.degraded, reply.stale, reply.cached, round(reply.age)) == (True, True, True, 10)
        assert "the server is away" in reply.reason
        assert reply.reason in reply.warnings
        await asyncio.sleep(100)
        with pytest.raises((UnavailableError, OutcomeUnknownError)):
            await trunk.call("db.look")


async def test_servers_of_one_name_do_not_get_each_other_s_answers() -> None:
    async with opened(counting(), look=READ) as trunk:
        await trunk.call("db.look")
        await trunk.remove("db")
        await trunk.add("db", counting())
        reply = await trunk.call("db.look")
        assert (reply.structured["n"], reply.cached) == (1, False)


async def test_identical_calls_are_one_request_where_policy_says_so() -> None:
    server = counting()
    async with opened(server, look={"read_only": True, "coalesce": True}, write={"coalesce": True}) as trunk:
        await trunk.ready()
        replies = await asyncio.gather(*(trunk.call("db.look", {"q": 1}) for _ in range(1000)))
        assert len(server.calls) == 1
        assert {one.structured["n"] for one in replies} == {1}
        await asyncio.gather(trunk.call("db.write"), trunk.call("db.write"))
        assert len(server.calls) == 3
        assert trunk.cache.stats.shared == 999


async def test_the_runtime_closes_while_calls_share_a_request_and_answers_are_fetched() -> None:
    server = FakeServer()
    server.tool("look", returns="x", delay=50.0)
    server.tool("late", returns="x")
    stale = {"read_only": True, "cache": {"ttl": 1.0, "stale_while_revalidate": 99.0}}
    async with opened(server, look=READ, late=stale) as trunk:
        await trunk.call("db.late")
        server.fault("late", Fault.hang)
        await asyncio.sleep(2)
        assert (await trunk.call("db.late")).stale
        waiting = [asyncio.ensure_future(trunk.call("db.look")) for _ in range(3)]
        await asyncio.sleep(1)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {getattr(one, "delivery", None) for one in outcomes} == {"unknown"}


async def test_calls_that_follow_each_other_are_fetched_before_they_come() -> None:
    server = FakeServer()
    server.tool("list")(lambda arguments: {"items": [{"id": f"{arguments['folder']}-1"}]})
    server.tool("get")(lambda arguments: {"body": arguments["id"]})
    rules = {"read_only": True, "cache": {"ttl": 600.0}, "prefetch": {"enabled": True, "budget": 1.0}}
    async with opened(server, list=rules, get=rules) as trunk:
        for folder in "abcde":
            found = await trunk.call("db.list", {"folder": folder})
            await asyncio.sleep(1)
            reply = await trunk.call("db.get", {"id": found.structured["items"][0]["id"]})
            await asyncio.sleep(1)
            assert reply.structured == {"body": f"{folder}-1"}
            assert reply.cached == (folder in "de"), folder
        stats = trunk.cache.stats
        assert (stats.foreseen_hits, len(server.calls)) == (2, 5 + 3 + stats.foreseen)
        assert 0 < stats.foresight <= 1


async def test_nothing_is_fetched_for_another_principal_or_before_it_is_learned() -> None:
    server = FakeServer()
    for name in ("list", "get"):
        server.tool(name, returns="x")
    rules = {"read_only": True, "cache": {"ttl": 600.0}, "prefetch": {"enabled": True, "budget": 1.0}}
    async with opened(server, list=rules, get=rules) as trunk:
        for count in range(4):
            await trunk.call("db.list", {"n": count})
            await trunk.call("db.get", {"n": count})
        with trunk.acting_as(Principal(name="ben")):
            await trunk.call("db.list", {"n": 9})
            await asyncio.sleep(1)
            assert not (await trunk.call("db.get", {"n": 9})).cached


async def test_two_names_of_one_server_share_no_request() -> None:
    server = FakeServer("db", eras=["modern"])
    server.tool("look", returns="x", delay=0.05)
    policy = {"tools": {"*.look": {"read_only": True, "coalesce": True}}}
    with VirtualNetwork() as network:
        url = network.serve(server).url
        async with trunkline.connect({"a": {"url": url}, "b": {"url": url}}, policy=policy) as trunk:
            await trunk.ready()
            replies = await asyncio.gather(*(trunk.call(f"{name}.look") for name in "aabb"))
    assert [one.tool for one in replies] == ["a.look", "a.look", "b.look", "b.look"]
    assert len(server.ledger.calls) == 2
