"""Which replica each strategy puts first, decided from facts alone."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.ewma import DECAY, PeakEwma
from trunkline.core.health import Health
from trunkline.core.needs import meets, read_need
from trunkline.core.routing import RouteSettings, Strategy
from trunkline.pipeline.strategies import arrange

STRATEGIES = get_args(Strategy)


def replica(name: str, **facts: Any) -> Health:
    return Health(name=name, **facts)


def order(strategy: str, replicas: list[Health], *, key: str = "", seed: int = 1, turn: int = 0, **rest: Any):
    settings = RouteSettings(strategy=strategy, **rest)  # type: ignore[arg-type]
    return arrange(settings, replicas, key=key, draw=random.Random(seed).random, turn=turn)


replicas_of = st.lists(
    st.builds(
        Health,
        name=st.text(max_size=3),
        place=st.integers(0, 3),
        rank=st.sampled_from([None, 0, 1, 2, 3]),
        load=st.integers(0, 5),
        weight=st.sampled_from([0.5, 1.0, 3.0]),
        latency=st.none() | st.floats(0, 10),
        region=st.sampled_from(["", "eu", "us"]),
        tags=st.sampled_from([(), ("gpu",)]),
    ),
    max_size=6,
)


@given(st.sampled_from(STRATEGIES), replicas_of, st.text(max_size=5), st.integers(0, 9), st.booleans())
def test_every_strategy_names_each_replica_that_will_do_once_and_those_that_are_well_first(
    strategy: str, replicas: list[Health], key: str, seed: int, picky: bool
):
    found = order(strategy, replicas, key=key, seed=seed, turn=seed, needs=("tag:gpu",) if picky else ())
    assert sorted(found) == [at for at, one in enumerate(replicas) if not picky or one.tags]
    tiers = [9 if (rank := replicas[at].rank) is None else rank for at in found]
    assert tiers == sorted(tiers)


def test_least_loaded_looks_at_weights_and_takes_turns_among_equals():
    uneven = [replica("a", load=1), replica("b", load=3, weight=3.0), replica("c", load=2)]
    assert order("least_loaded", uneven)[0] == 1
    alike = [replica("a"), replica("b"), replica("c")]
    assert [order("least_loaded", alike, turn=turn)[0] for turn in range(4)] == [0, 1, 2, 0]


def test_latency_takes_the_quicker_of_two_and_shares_out_what_is_as_quick():
    pair = [replica("a", latency=0.2), replica("b", latency=0.05)]
    assert order("latency", pair) == (1, 0)
    assert order("latency", [replica("a", latency=0.05, load=8), replica("b", latency=0.2)]) == (1, 0)
    three = [replica("a", latency=0.01), replica("b", latency=0.01), replica("c", latency=9.0)]
    first = Counter(order("latency", three, seed=seed)[0] for seed in range(600))
    assert first[2] == 0
    assert min(first[0], first[1]) > 150


def test_a_replica_not_measured_yet_is_tried_by_one_call_at_a_time():
    assert order("latency", [replica("a", latency=0.1), replica("b")])[0] == 1
    assert order("latency", [replica("a", latency=0.1), replica("b", load=1)])[0] == 0


def test_weighted_shares_out_by_weight():
    replicas = [replica("a", weight=1.0), replica("b", weight=3.0)]
    first = Counter(order("weighted", replicas, seed=seed)[0] for seed in range(2000))
    assert 0.70 < first[1] / 2000 < 0.80


def test_sticky_keeps_a_key_and_moves_only_the_keys_of_a_replica_that_goes():
    replicas = [replica(name) for name in "abcde"]
    keys = [f"user-{number}" for number in range(2000)]
    before = {key: replicas[order("sticky", replicas, key=key)[0]].name for key in keys}
    assert min(Counter(before.values()).values()) > 300
    left = [one for one in reversed(replicas) if one.name != "c"]
    after = {key: left[order("sticky", left, key=key)[0]].name for key in keys}
    assert {key for key in keys if before[key] != after[key]} == {key for key in keys if before[key] == "c"}


def test_sticky_keys_of_a_replica_that_is_down_come_back_to_it():
    replicas = [replica(name) for name in "abc"]
    key = next(one for one in map(str, range(99)) if order("sticky", replicas, key=one)[0] == 1)
    replicas[1] = replica("b", rank=None)
    assert order("sticky", replicas, key=key)[0] != 1
    replicas[1] = replica("b")
    assert order("sticky", replicas, key=key)[0] == 1


def test_sticky_stays_with_connections_that_are_kept():
    replicas = [replica("a"), replica("b", spare=True), replica("c")]
    assert {order("sticky", replicas, key=str(key))[0] for key in range(50)} == {0, 2}
    replicas = [replica("a", rank=None), replica("b", spare=True), replica("c", rank=None)]
    assert order("sticky", replicas, key="x")[0] == 1


def test_sticky_gives_a_heavy_replica_more_keys():
    replicas = [replica("a", weight=1.0), replica("b", weight=4.0)]
    first = Counter(order("sticky", replicas, key=str(key))[0] for key in range(2000))
    assert 0.75 < first[1] / 2000 < 0.85


def test_geography_goes_to_the_nearest_region_and_elsewhere_only_when_that_is_not_well():
    replicas = [replica("a", region="us"), replica("b", region="eu", load=9), replica("c", region="asia")]
    assert order("geography", replicas, regions=("eu", "us")) == (1, 0, 2)
    replicas[1] = replica("b", region="eu", rank=1)
    assert order("geography", replicas, regions=("eu", "us")) == (0, 2, 1)


def test_failover_takes_the_first_that_is_well():
    replicas = [replica("a", place=0, load=9), replica("b", place=1)]
    assert order("failover", replicas) == (0, 1)
    replicas[0] = replica("a", place=0, rank=3)
    assert order("failover", replicas) == (1, 0)


def test_capability_gives_calls_only_to_those_that_have_all_that_is_needed():
    replicas = [
        replica("a", features=frozenset({"tasks"}), era="2025-06-18"),
        replica("b", features=frozenset({"tasks"}), era="2025-11-25", tags=("gpu",)),
        replica("c", era="2025-11-25", tags=("gpu",)),
    ]
    assert order("capability", replicas, needs=("tasks", "era>=2025-11-25")) == (1,)
    assert set(order("weighted", replicas, needs=("tag:gpu",))) == {1, 2}
    assert order("capability", replicas, needs=("logging",)) == ()


@pytest.mark.parametrize(
    ("line", "met"),
    [
        ("version>=2.1", True),
        ("version>=2.10", True),
        ("version == 2.10.0", True),
        ("version<2.9", False),
        ("version!=2.10", False),
        ("era>2025-11-25", False),
        ("era<=2025-11-25", True),
        ("tag:gpu", True),
        ("tag:cpu", False),
        ("resources.subscribe", True),
        ("io.example/charts", True),
        ("prompts", False),
    ],
)
def test_a_need_is_met_or_not(line: str, met: bool):
    one = replica(
        "a",
        version="2.10",
        era="2025-11-25",
        tags=("gpu",),
        features=frozenset({"resources", "resources.subscribe", "io.example/charts"}),
    )
    assert meets(one, (line,)) is met


def test_what_is_not_known_is_not_there_but_what_is_not_connected_may_have_it():
    assert not meets(replica("a"), ("version>=1",))
    assert not meets(replica("a"), ("tasks",))
    assert meets(replica("a", rank=None), ("tasks", "version>=1"))
    assert not meets(replica("a", rank=None), ("tag:gpu",))


@pytest.mark.parametrize("line", ["", " ", "tag:", "tag: ", "era>=", "era>=new", "size>=3", "label:x", "a b"])
def test_what_means_nothing_is_no_need(line: str):
    assert read_need(line) is None


def test_latency_believes_a_rise_at_once_and_a_fall_slowly():
    latency = PeakEwma()
    assert latency.read(0.0) is None
    latency.add(0.1, 0.0)
    latency.add(2.0, 1.0)
    assert latency.read(1.0) == 2.0
    latency.add(0.1, 2.0)
    assert 1.5 < (latency.read(2.0) or 0) < 2.0
    for second in range(3, 60):
        latency.add(0.1, float(second))
    assert (latency.read(59.0) or 0) < 0.12


def test_a_slow_replica_that_gets_no_calls_is_tried_again_as_its_peak_fades():
    latency = PeakEwma()
    latency.add(5.0, 0.0)
    assert (latency.read(4 * DECAY) or 0) < 0.1


def test_a_replica_that_is_silent_is_as_slow_as_its_silence_is_long():
    latency = PeakEwma()
    latency.add(0.1, 0.0)
    latency.silent_since = 50.0
    assert latency.read(80.0, load=3) == 30.0
    assert (latency.read(80.0) or 0) < 0.1
    latency.add(0.1, 80.0)
    assert latency.read(80.0, load=2) == pytest.approx(0.1)


def test_a_failure_makes_a_replica_slower_and_never_quicker():
    latency = PeakEwma()
    latency.add(1.0, 0.0)
    latency.fail(0.001, 0.0)
    assert latency.read(0.0) == 1.0
    latency.fail(3.0, 0.0)
    assert latency.read(0.0) == 3.0
