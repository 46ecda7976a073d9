"""What one run found is shown by the next as stale, and decides nothing: it gives way to what is true."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline import FileStore, MemoryStore, Principal
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def shop() -> FakeServer:
    server = FakeServer("shop", watchable=True)
    server.tool("buy", schema=NUMBER, returns="bought")
    server.tool("browse", returns="browsed")
    server.resource("shop://news", text="new")
    server.prompt("advise", "Buy.")
    return server


@asynccontextmanager
async def opened(store: Any, **urls: str) -> AsyncIterator[trunkline.Trunk]:
    entries = {name: {"url": url} for name, url in urls.items()}
    policy = {"defaults": {"connect": 5}}
    async with trunkline.connect(entries, store=store, policy=policy) as trunk:
        yield trunk


async def learn(store: Any, **urls: str) -> None:
    async with opened(store, **urls) as trunk:
        await trunk.ready()


def names(trunk: trunkline.Trunk) -> dict[str, bool]:
    return {tool.public_name: tool.stale for tool in trunk.catalog.tools}


async def test_the_next_start_shows_everything_at_once_and_says_that_it_is_stale():
    server, store = shop(), MemoryStore()
    async with server.http() as url:
        await learn(store, shop=url)
        server.fault("tools/list", Fault.hang)
        async with opened(store, shop=url) as trunk:
            assert names(trunk) == {"shop.buy": True, "shop.browse": True}
            assert [one.stale for one in (*trunk.resources, *trunk.prompts)] == [True, True]
            status = trunk.status()["shop"]
            assert (status.state == "ready", status.tools, status.era) == (False, None, "2026-07-28")


async def test_a_stale_list_is_replaced_once_the_fresh_one_is_read_and_the_difference_is_an_event():
    server, store = shop(), MemoryStore()
    async with server.http() as url:
        await learn(store, shop=url)
        del server.tools["browse"]
        server.tool("sell")
        server.tool("buy", schema=NUMBER, description="Other.")
        async with opened(store, shop=url) as trunk:
            watch = trunk.events(trunkline.ListChanged)
            assert set(names(trunk)) == {"shop.buy", "shop.browse"}
            await trunk.ready()
            assert names(trunk) == {"shop.buy": False, "shop.sell": False}
        found = [(one.kind, one.added, one.removed, one.changed) async for one in watch]
        assert found == [("tools", ("sell",), ("browse",), ("buy",))]


async def test_a_first_start_has_no_difference_to_tell():
    server = shop()
    async with server.http() as url:
        async with opened(MemoryStore(), shop=url) as trunk:
            watch = trunk.events(trunkline.ListChanged)
            await trunk.ready()
        assert [one async for one in watch] == []


async def test_a_call_of_a_tool_that_only_the_fresh_list_has_waits_for_it():
    server, store = shop(), MemoryStore()
    async with server.http() as url:
        await learn(store, shop=url)
        server.tool("sell", returns="sold")
        for name in ("shop.sell", "sell"):
            async with opened(store, shop=url) as trunk:
                assert (await trunk.call(name)).text == "sold"


async def test_arguments_are_judged_by_the_fresh_schema():
    server, store = shop(), MemoryStore()
    async with server.http() as url:
        await learn(store, shop=url)
        server.tool("buy", returns="bought")
        async with opened(store, shop=url) as trunk:
            assert (await trunk.call("shop.buy", {"what": "a pen"})).text == "bought"


async def test_a_bare_name_that_only_a_stale_list_has_twice_is_not_ambiguous():
    first, second, store = shop(), shop(), MemoryStore()
    async with first.http() as one, second.http() as two:
        await learn(store, one=one, two=two)
        del second.tools["browse"]
        async with opened(store, one=one, two=two) as trunk:
            assert (await trunk.call("browse")).server == "one"


async def test_what_is_stale_makes_no_name_of_the_catalog_ambiguous():
    first, second, store = shop(), shop(), MemoryStore()
    async with first.http() as one, second.http() as two:
        await learn(store, one=one, two=two)
        for method in ("tools/list", "prompts/list"):
            second.fault(method, Fault.hang)
        async with opened(store, one=one, two=two) as trunk:
            await trunk.ready("one", lists=True)
            assert names(trunk)["two.buy"] is True
            assert trunk.catalog.resolve("buy").server == "one"
            assert trunk.catalog.resolve_prompt("advise").server == "one"
            assert trunk.catalog.resolve("two.buy").stale
        with pytest.raises(trunkline.NotFoundError):
            trunk.catalog.resolve("nothing")


async def test_a_resource_is_read_from_who_has_it_now():
    first, second, store = shop(), shop(), MemoryStore()
    del second.resources["shop://news"]
    async with first.http() as one, second.http() as two:
        await learn(store, one=one, two=two)
        second.resource("shop://news", text="newer")
        del first.resources["shop://news"]
        async with opened(store, one=one, two=two) as trunk:
            assert (await trunk.read("shop://news")).server == "two"


async def test_a_server_that_does_not_come_up_keeps_showing_what_it_had_and_calls_say_why():
    server, store = shop(), MemoryStore()
    async with server.http() as url:
        await learn(store, shop=url)
    async with opened(store, shop=url) as trunk:
        await trunk.ready()
        assert names(trunk) == {"shop.buy": True, "shop.browse": True}
        found = await trunk.search("browse", limit=1)
        assert [(match.tool.name, match.tool.stale) for match in found] == [("browse", True)]
        for name in ("shop.browse", "shop.never", "browse"):
            with pytest.raises(trunkline.UnavailableError):
                await trunk.call(name)


async def test_a_bare_name_leads_to_who_has_it_and_not_to_who_had_it():
    first, second, store = shop(), shop(), MemoryStore()
    async with first.http() as one:
        async with second.http() as two:
            await learn(store, one=one, two=two)
        async with opened(store, one=one, two=two) as trunk:
            assert (await trunk.call("browse")).server == "one"
            assert names(trunk)["two.browse"] is True


async def test_search_finds_what_is_fresh_once_it_is_and_no_longer_what_was_stale():
    server, store = shop(), MemoryStore()
    async with server.http() as url:
        await learn(store, shop=url)
        server.tool("browse", description="Look at every basket.")
        async with opened(store, shop=url) as trunk:
            (match,) = await trunk.search("basket", limit=1)
            assert (match.tool.name, match.tool.stale) == ("browse", False)


async def test_a_list_that_was_cut_short_is_not_kept_nor_are_its_gaps_told():
    server, store = shop(), MemoryStore()
    async with server.http() as url:
        await learn(store, shop=url)
        server.page_size = 1
        server.fault("tools/list", Fault.rpc_error(-32603, "no more"), nth=2)
        async with opened(store, shop=url) as trunk:
            watch = trunk.events(trunkline.ListChanged)
            await trunk.ready()
            assert names(trunk) == {"shop.buy": False}
        assert [one async for one in watch] == []
        server.fault("tools/list", Fault.hang)
        async with opened(store, shop=url) as trunk:
            assert set(names(trunk)) == {"shop.buy", "shop.browse"}


async def test_a_tool_that_is_malformed_in_memory_costs_itself():
    server, store = shop(), MemoryStore()
    async with server.http() as url:
        await learn(store, shop=url)
        (key,) = (key for key in store.kept if "." in key)
        store.kept[key] = store.kept[key].replace(b'{"name":"browse"', b'{"nome":"browse"')
        server.fault("tools/list", Fault.hang)
        async with opened(store, shop=url) as trunk:
            assert set(names(trunk)) == {"shop.buy"}


async def test_nothing_is_remembered_unless_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    async with shop().http() as url:
        async with trunkline.connect({"shop": {"url": url}}) as trunk:
            await trunk.ready()
        monkeypatch.setenv("TRUNKLINE_NO_CACHE", "1")
        async with trunkline.connect({"shop": {"url": url}}, remember=True) as trunk:
            await trunk.ready()
        assert os.listdir(tmp_path) == []
        monkeypatch.delenv("TRUNKLINE_NO_CACHE")
        async with trunkline.connect({"shop": {"url": url}}, remember=True) as trunk:
            await trunk.ready()
    assert len(FileStore(tmp_path / "trunkline" / "servers").kept()) == 2


async def test_a_policy_switches_it_off_for_a_server():
    server, store = shop(), MemoryStore()
    async with server.http() as url:
        entries = {"a": {"url": url}, "b": {"url": f"{url}?x=1"}}
        policy = {"servers": {"a": {"remember": False}}}
        for _ in range(2):
            async with trunkline.connect(entries, store=store, policy=policy) as trunk:
                shown = {tool.server for tool in trunk.catalog.tools}
                await trunk.ready()
    assert shown == {"b"}
    assert b'"server":"a"' not in b"".join(store.kept.values())


async def test_peers_in_this_process_are_not_taken_for_each_other():
    store = MemoryStore()
    async with trunkline.connect({"a": shop(), "b": shop()}, store=store) as trunk:
        await trunk.ready()
    assert store.kept == {}


async def test_a_server_that_is_added_or_changed_later_is_remembered_too():
    server, store = shop(), MemoryStore()
    async with server.http() as url:
        await learn(store, shop=url)
        server.fault("tools/list", Fault.hang)
        async with trunkline.connect({}, store=store) as trunk:
            await trunk.add("late", {"url": url})
            assert names(trunk) == {"late.buy": True, "late.browse": True}


async def test_what_one_principal_or_credential_was_shown_is_not_shown_to_another():
    server, store = shop(), MemoryStore()

    async def shown(token: str, principal: str) -> bool:
        entry = {"url": url, "headers": {"Authorization": f"Bearer {token}"}}
        who = Principal(name=principal)
        async with trunkline.connect({"shop": entry}, store=store, principal=who) as trunk:
            found = bool(trunk.catalog.tools)
            await trunk.ready()
            return found

    async with server.http() as url:
        people = [("token-one", "ann"), ("token-two", "ann"), ("token-one", "bob")]
        assert [await shown(*one) for one in people] == [False, False, False]
        assert [await shown(*one) for one in people] == [True, True, True]
        assert len([key for key in store.kept if "." not in key and key != "salt"]) == 1
