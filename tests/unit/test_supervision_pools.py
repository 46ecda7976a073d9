"""Which connection a call is given, decided from facts alone; and the line of those who wait."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from trunkline.core.call import Flight
from trunkline.core.pool import PoolSettings
from trunkline.supervision.choosing import WAIT, Choice, choose, choose_lease, follow
from trunkline.supervision.member import Member
from trunkline.supervision.waiting import Waiter, Waiting


class One(Struct, kw_only=True):
    """A connection, as it looks to who chooses."""

    rank: int | None = 0
    load: int = 0
    endpoint: int = 0
    weight: float = 1.0
    leased: bool = False
    spare: bool = False
    trying: bool = False
    startable: bool = False
    sour: bool = False


DOWN = {"rank": None, "spare": True}


@st.composite
def candidates(draw: st.DrawFn) -> One:
    rank = draw(st.sampled_from([None, 0, 1, 2]))
    trying = rank is None and draw(st.booleans())
    return One(
        rank=rank,
        load=draw(st.integers(0, 3)) if rank is not None else 0,
        endpoint=draw(st.integers(0, 1)),
        weight=draw(st.sampled_from([0.5, 1.0, 3.0])),
        leased=draw(st.booleans()),
        spare=draw(st.booleans()),
        trying=trying,
        startable=rank is None and not trying and draw(st.booleans()),
        sour=draw(st.booleans()),
    )


@given(st.data(), st.lists(candidates(), min_size=2, max_size=5), st.booleans(), st.booleans())
def test_whatever_the_facts_a_choice_can_be_carried_out(
    data: st.DataObject, members: list[One], stateless: bool, at_home: bool
):
    home = data.draw(st.integers(0, len(members) - 1))
    waiting = data.draw(st.integers(1, 4))
    for choice in (
        choose(members, home=home, stateless=stateless, at_home=at_home, waiting=waiting),
        choose_lease(members, home=home, waiting=waiting),
    ):
        assert all(members[at].startable for at in choice.start)
        if choice.member is not None:
            chosen = members[choice.member]
            assert not chosen.leased
            # What is not connected is given only to say why it cannot be had.
            hopeless = not any(one.rank is not None or one.trying or one.startable for one in members)
            assert chosen.rank is not None or hopeless
        else:
            # Who waits waits for something: a lease that ends, or a connection that is opened.
            assert choice.start or any(one.leased or one.trying for one in members)


def test_a_free_connection_at_home_comes_first_then_another_free_one_then_a_new_one():
    members = [One(), One(), One(**DOWN, startable=True)]
    assert choose(members, home=1, stateless=False) == Choice(1)
    members[1].load = 1
    assert choose(members, home=1, stateless=False) == Choice(0)
    members[0].load = 2
    assert choose(members, home=1, stateless=False) == Choice(None, (2,))
    members[2].startable, members[2].trying = False, True
    assert choose(members, home=1, stateless=False) == WAIT
    members[2].sour = True
    assert choose(members, home=1, stateless=False) == Choice(1)


def test_each_who_waits_has_one_connection_opened_and_no_more():
    members = [One(load=1), *(One(**DOWN, startable=True) for _ in range(3))]
    assert choose(members, home=0, stateless=False, waiting=1).start == (1,)
    members[1].startable, members[1].trying = False, True
    assert choose(members, home=0, stateless=False, waiting=1) == WAIT
    assert choose(members, home=0, stateless=False, waiting=2).start == (2,)


def test_where_requests_stand_alone_the_lightest_for_its_weight_is_chosen_and_equals_in_turn():
    members = [One(weight=1.0, load=1), One(weight=3.0, load=3), One(weight=1.0, load=2)]
    assert choose(members, home=0, stateless=True) == Choice(1)
    alike = [One(endpoint=0), One(endpoint=1)]
    assert [choose(alike, home=0, stateless=True, turn=turn).member for turn in range(4)] == [0, 1, 0, 1]


def test_where_the_server_keeps_state_the_other_endpoint_is_used_when_this_one_is_worse_only():
    members = [One(load=5), One(endpoint=1)]
    assert choose(members, home=0, stateless=False) == Choice(0)
    members[0].rank = 1
    assert choose(members, home=0, stateless=False) == Choice(1)
    members[1].rank = None
    assert choose(members, home=0, stateless=False).member == 0


def test_where_requests_stand_alone_a_call_goes_where_it_has_not_failed():
    members = [One(), One(load=5), One(load=3)]
    assert choose(members, home=0, stateless=True, avoid=(0,)) == Choice(2)
    assert choose(members, home=0, stateless=True, avoid=(0, 1, 2)) == Choice(0)


def test_a_given_order_is_followed_past_what_is_leased_or_down_or_where_the_call_has_failed():
    members = [One(leased=True), One(**DOWN), One(load=9), One()]
    assert follow(members, (0, 1, 2, 3)) == Choice(2)
    assert follow(members, (0, 1, 2, 3), avoid=(2,)) == Choice(3)
    assert follow(members, (2, 1), avoid=(2,)) == Choice(2)
    assert follow(members, (0,)) == WAIT


def test_what_a_given_order_names_is_connected_and_company_is_sent_for_where_it_is_busy():
    down = One(rank=None, startable=True)
    assert follow([down, One(rank=None, startable=True)], (1, 0)) == Choice(start=(1, 0))
    assert follow([One(rank=None)], (0,)) == Choice(0)
    busy = [One(load=1), One(**DOWN, startable=True), One(**DOWN, startable=True, endpoint=1)]
    assert follow(busy, (0, 1, 2)) == Choice(0, (1,))
    busy[0].load = 0
    assert follow(busy, (0, 1, 2)) == Choice(0)


def test_what_is_at_home_waits_for_it_while_it_is_leased():
    members = [One(leased=True), One()]
    assert choose(members, home=0, stateless=False, at_home=True) == WAIT
    assert choose(members, home=0, stateless=False) == Choice(1)


def test_a_lease_leaves_home_alone_where_it_can():
    members = [One(), One(**DOWN, startable=True)]
    assert choose_lease(members, home=0) == Choice(None, (1,))
    members[1].sour = True
    assert choose_lease(members, home=0) == Choice(0)
    members[1] = One(load=0)
    assert choose_lease(members, home=0) == Choice(1)


def test_max_is_at_least_min_and_a_plain_pool_is_one_connection_that_stays():
    assert PoolSettings(min=3).most == 3
    assert PoolSettings().is_plain
    assert not PoolSettings(min=0).is_plain
    assert PoolSettings(min=0, max_idle=0).is_plain


@pytest.mark.anyio
async def test_who_is_cancelled_in_the_very_moment_it_is_served_gives_back_what_it_got():
    back: list[Any] = []
    line = Waiting(lambda waiter, member: back.append((waiter, member)))
    waiter, member = Waiter(Flight(0.0)), cast(Member, object())
    waiting = asyncio.create_task(line.wait(waiter))
    await asyncio.sleep(0)
    line.serve(waiter, member)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert back == [(waiter, member)]
    assert len(line) == 0
