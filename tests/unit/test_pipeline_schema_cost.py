"""Hostile schemas: each is answered with a verdict or a warning, and at a bounded cost."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.pipeline.schema import compile_schema
from trunkline.pipeline.schema_cost import MOST_VISITS, Anatomy

CPU_SECONDS = 0.3
"""Of this thread, so that a loaded machine does not matter; unbounded, a case takes seconds to years."""


def doubling(key: str, levels: int, last: Any) -> dict[str, Any]:
    """Each part applies the next one twice to the same value."""
    parts: dict[str, Any] = {
        f"d{n}": {key: [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(levels)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**parts, f"d{levels}": last}}


def nested(key: str, levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(levels):
        schema = {key: [schema, schema]}
    return schema


def chain(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"c": value}
    return value


TWO_WAYS = {"properties": {"c": {"$ref": "#/$defs/n"}}}
RECURSIVE = {"$defs": {"n": {"oneOf": [TWO_WAYS, TWO_WAYS]}}, "$ref": "#/$defs/n"}

BOMBS: dict[str, tuple[dict[str, Any], Any]] = {
    "references that double in anyOf": (doubling("anyOf", 40, {"type": "integer"}), {"x": "y"}),
    "references that double in oneOf": (doubling("oneOf", 40, {"type": "integer"}), {"x": "y"}),
    "references that double in allOf": (doubling("allOf", 40, {"type": "object"}), {"x": "y"}),
    "anyOf nested 16 deep": (nested("anyOf", 16), {"x": "y"}),
    "recursion in two ways": (RECURSIVE, chain(50)),
    "a reference to itself": ({"$ref": "#"}, {}),
    "anyOf of itself": ({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, {}),
    "a dynamic reference": (
        {
            "$dynamicAnchor": "n",
            "anyOf": [
                {"properties": {"c": {"$dynamicRef": "#n"}}},
                {"properties": {"c": {"$dynamicRef": "#n"}}},
            ],
        },
        chain(50),
    ),
    "a pattern that backtracks": ({"properties": {"p": {"pattern": "^(a+)+$"}}}, {"p": "a" * 50 + "!"}),
    "a pattern with lookahead": (
        {"properties": {"p": {"pattern": r"^(?=(a+)+$)(a+)+\1$"}}},
        {"p": "a" * 50 + "!"},
    ),
    "a pattern that is huge when compiled": ({"properties": {"p": {"pattern": r"\p{L}{1,500}"}}}, {"p": "a"}),
    "repetitions of repetitions": (
        {"properties": {"p": {"pattern": "((a{1,100}){1,100}){1,100}"}}},
        {"p": "a"},
    ),
    "many big patterns": (
        {"properties": {f"p{n}": {"pattern": "^(a{1,99}){1,99}" + str(n)} for n in range(1000)}},
        {"p1": "a"},
    ),
    "patterns as property names": ({"patternProperties": {"^(a+)+$": {}}}, {"a" * 50 + "!": 1}),
    "more parts than are looked at": ({"anyOf": [{"const": n} for n in range(100_000)]}, {}),
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("subject", ["arguments", "structured result"])
def test_a_hostile_schema_costs_little(bomb: str, subject: Any):
    schema, value = BOMBS[bomb]

    def cost() -> float:
        before = time.thread_time()
        checker = compile_schema(schema, subject)
        if checker.excess(value) is None:
            checker.problems(value)
        return time.thread_time() - before

    # On a busy machine even processor time is not the same each time.
    assert any(cost() < CPU_SECONDS for _ in range(3))


@pytest.mark.parametrize(
    "bomb",
    ["references that double in anyOf", "recursion in two ways", "a dynamic reference", "many big patterns"],
)
def test_a_bomb_is_not_checked_and_says_why(bomb: str):
    schema, value = BOMBS[bomb]
    reason = compile_schema(schema).excess(value)
    assert reason is not None
    assert reason.startswith("the arguments were not checked: the input schema ")


def test_a_large_result_is_not_checked_against_patterns():
    checker = compile_schema({"items": {"pattern": "^(?:a{0,30}){0,30}$"}}, "structured result")
    assert checker.excess(["a" * 100] * 10) is None
    assert "not meant for a value that large" in (checker.excess(["a" * 100_000] * 10) or "")


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (nested("anyOf", 6), {"x": 1}),
        (
            {"$defs": {"n": {"properties": {"l": {"$ref": "#/$defs/n"}, "r": {"$ref": "#/$defs/n"}}}}},
            chain(30),
        ),
        (
            {
                "$ref": "#/$defs/tree",
                "$defs": {"tree": {"type": "object", "properties": {"c": {"$ref": "#/$defs/tree"}}}},
            },
            chain(60),
        ),
        ({"$id": "https://example.com/s", "$ref": "https://example.com/s#/$defs/a", "$defs": {"a": {}}}, {}),
        ({"$defs": {"a": {"$anchor": "here", "type": "object"}}, "$ref": "#here"}, {}),
        ({"properties": {"email": {"pattern": r"^[\w.-]{1,64}@[\w.-]{1,255}$"}}}, {"email": "a@b.c"}),
    ],
)
def test_an_ordinary_schema_is_checked(schema: dict[str, Any], value: Any):
    checker = compile_schema(schema)
    assert checker.excess(value) is None
    assert checker.warning is None


def test_visits_are_counted_as_checking_would_make_them():
    anatomy = Anatomy(doubling("anyOf", 10, {"type": "integer"}))
    visits = anatomy.visits("x")
    assert visits is not None
    assert 2**10 <= visits <= 2**14
    assert Anatomy(doubling("anyOf", 30, {"type": "integer"})).visits("x") is None
    assert MOST_VISITS < 2**30


parts = st.recursive(
    st.sampled_from([True, False, {}, {"type": "string"}, {"$ref": "#"}, {"$ref": "#/$defs/a"}]),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(["not", "items", "additionalProperties", "contains"]), inner),
        st.dictionaries(
            st.sampled_from(["anyOf", "allOf", "oneOf", "prefixItems"]), st.lists(inner, min_size=1)
        ),
        st.dictionaries(
            st.sampled_from(["properties", "patternProperties", "$defs"]),
            st.dictionaries(st.sampled_from(["a", "b"]), inner),
        ),
    ),
    max_leaves=20,
)
values = st.recursive(
    st.none() | st.integers(0, 3) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    ),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(schema=parts.filter(lambda part: isinstance(part, dict)), value=values)
def test_any_schema_gives_a_verdict_and_never_an_exception(schema: Any, value: Any):
    checker = compile_schema({"$defs": {"a": {"type": "integer"}}, **schema}, "structured result")
    if checker.excess(value) is None:
        assert all(isinstance(problem, str) for problem in checker.problems(value))
