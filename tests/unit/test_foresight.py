"""What is expected after which call, from what was seen so far; no server is asked here."""

from __future__ import annotations

from typing import Any

from trunkline.core.prefetch import Expected, PrefetchSettings
from trunkline.pipeline.foresight import Foresight, Made

EAGER = PrefetchSettings(enabled=True, confidence=0.5, least=2, budget=1.0)


class Person:
    """Makes calls one after another, a second apart."""

    def __init__(self, settings: PrefetchSettings = EAGER) -> None:
        self.foresight = Foresight(settings)
        self.now = 0.0

    def call(self, name: str, answer: Any = None, *, pause: float = 1.0, **arguments: Any) -> list[Expected]:
        started = self.now + pause
        self.now = started + 0.5
        return self.foresight.note(Made(name, arguments, answer, self.now), started)


def shown(expected: list[Expected]) -> list[tuple[str, dict[str, object]]]:
    return [(one.name, one.arguments) for one in expected]


def test_arguments_are_those_of_the_call_before() -> None:
    person = Person()
    for path in ("a", "b"):
        assert person.call("open", path=path) == []
        person.call("lint", file=path, strict=True)
    assert shown(person.call("open", path="c")) == [("lint", {"file": "c", "strict": True})]


def test_arguments_are_values_out_of_the_answer_before() -> None:
    person = Person()
    for number in (11, 22):
        person.call("find", {"rows": [{"id": number, "name": f"row {number}"}, {"id": 1}]}, text="x")
        person.call("get", id=number)
    assert shown(person.call("find", {"rows": [{"id": 33}]}, text="y")) == [("get", {"id": 33})]
    assert person.call("find", {"rows": []}, text="z") == []


def test_a_source_that_was_right_by_chance_is_given_up() -> None:
    person = Person()
    for number, page in ((1, 1), (2, 2), (3, 9)):
        person.call("find", {"first": number}, page=page)
        person.call("get", id=number)
    assert shown(person.call("find", {"first": 7}, page=5)) == [("get", {"id": 7})]


def test_what_cannot_be_told_is_not_expected() -> None:
    person = Person()
    for number in range(5):
        person.call("find", {"a": number}, text="x")
        person.call("get", id=f"made up {number}")
    assert person.call("find", {"a": 9}, text="x") == []


def test_rare_followers_are_not_expected_and_likely_ones_come_first() -> None:
    person = Person()
    for name in ("read", "read", "read", "drop", "read", "drop", "read"):
        person.call("list")
        person.call(name)
    assert shown(person.call("list")) == [("read", {})]
    lenient = Person(PrefetchSettings(enabled=True, confidence=0.1, least=1, budget=1.0))
    for name in ("read", "read", "drop"):
        lenient.call("list")
        lenient.call(name)
    assert [one.name for one in lenient.call("list")] == ["read", "drop"]


def test_calls_side_by_side_or_long_after_follow_nothing() -> None:
    person = Person()
    for _ in range(4):
        person.call("open", path="a")
        person.call("lint", path="a", pause=-0.4)
        person.now += 100
    assert person.call("open", path="b") == []


def test_requests_for_expected_calls_are_a_part_of_those_that_were_made() -> None:
    person = Person(PrefetchSettings(enabled=True, confidence=0.1, least=1, budget=0.25))
    expected = sum(len(person.call(name)) for _ in range(200) for name in ("a", "b"))
    assert 80 <= expected <= 100


def test_long_values_and_endless_names_are_not_remembered() -> None:
    person = Person()
    for count in range(2000):
        person.call(f"tool {count}", text="x" * 10_000, answer={"text": "y" * 10_000})
    assert len(person.foresight._steps) <= 256
    assert len(person.foresight._counts) <= 257
    before = person.foresight._before
    assert before is not None
    assert (before.arguments, before.values) == ({}, {})


def test_an_answer_of_any_size_or_shape_is_looked_at_a_little_only() -> None:
    deep: Any = "end"
    for _ in range(500):
        deep = {"a": [deep]}
    made = Made("t", {}, {"deep": deep, "wide": list(range(10_000)), "flag": True}, 0.0)
    assert len(made.values) <= 200
    assert made.values["flag",] is True
