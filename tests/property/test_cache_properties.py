"""What is kept under which key, and what goes first when there is no more room: held against models."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL, Principal
from trunkline.pipeline.cache_index import Entry, Index, subject_of
from trunkline.pipeline.cache_key import Key, Keys

KEYS = Keys(b"salt")
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.sampled_from("abcdé"), VALUES, max_size=4)


def make_call(
    arguments: Any, principal: Principal = LOCAL, name: str = "t", method: str = "tools/call"
) -> Call:
    return Call(
        id="c",
        server="s",
        name=name,
        public_name=f"s.{name}",
        arguments=arguments,
        principal=principal,
        deadline=1e12,
        idle=1e12,
        flight=Flight(0.0),
        method=method,
    )


def key_of(arguments: Any, **more: Any) -> Key:
    found = KEYS.of(make_call(arguments, **more), "place")
    assert found is not None
    return found


def shuffled(value: Any) -> Any:
    """Give the same JSON value with all members the other way round."""
    if isinstance(value, dict):
        return {name: shuffled(value[name]) for name in reversed(value)}
    return [shuffled(one) for one in value] if isinstance(value, list) else value


def model(value: Any) -> str:
    """Say what is sent, with members in order; floats and whole numbers differ as they do on the wire."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


@given(ARGUMENTS)
def test_the_order_of_members_makes_no_other_key(arguments: dict[str, Any]) -> None:
    assert key_of(arguments) == key_of(shuffled(arguments))


@given(ARGUMENTS, ARGUMENTS)
def test_two_calls_have_one_key_exactly_if_the_same_is_sent(one: Any, other: Any) -> None:
    assert (key_of(one) == key_of(other)) == (model(one) == model(other))


@given(st.text(max_size=8), st.text(max_size=8), st.sets(st.text(max_size=3), max_size=3))
def test_principals_of_other_names_or_roles_have_other_keys(one: str, other: str, roles: set[str]) -> None:
    first = Principal(name=one)
    assert key_of({}, principal=first).common == key_of({}, principal=Principal(name=other)).common
    assert (key_of({}, principal=first).own == key_of({}, principal=Principal(name=other)).own) == (
        one == other
    )
    roled = Principal(name=one, roles=frozenset(roles))
    assert (key_of({}, principal=first).own == key_of({}, principal=roled).own) == (not roles)


@given(st.text(max_size=6), st.text(max_size=6))
def test_tools_of_other_names_have_other_keys_whatever_is_in_them(one: str, other: str) -> None:
    try:
        (one + other).encode()
    except UnicodeEncodeError:
        return
    assert (key_of({}, name=one) == key_of({}, name=other)) == (one == other)
    assert key_of({}, name=one).own.count(":") == 4


class Lru(RuleBasedStateMachine):
    """The index beside an ordered table that does the same slowly."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.index = Index(max_entries=5, max_bytes=3000)
        self.model: OrderedDict[str, Entry] = OrderedDict()

    def size(self, key: str) -> int:
        return len(self.model[key].body) + len(key) + 400

    @rule(
        name=st.sampled_from("abc"),
        asked=st.sampled_from("12345"),
        size=st.integers(0, 1500),
        keep=st.floats(0.1, 9),
    )
    def put(self, name: str, asked: str, size: int, keep: float) -> None:
        key = f"s:t:{name}:who:{asked}"
        entry = Entry(body=b"x" * size, stored=self.now, fresh_for=1.0, keep_for=keep)
        self.index.put(key, entry)
        self.model.pop(key, None)
        self.model[key] = entry
        while len(self.model) > 5 or sum(map(self.size, self.model)) > 3000:
            self.model.popitem(last=False)

    @rule(name=st.sampled_from("abc"), asked=st.sampled_from("12345"))
    def get(self, name: str, asked: str) -> None:
        key = f"s:t:{name}:who:{asked}"
        expected = self.model.get(key)
        if expected is not None and self.now - expected.stored >= expected.keep_for:
            del self.model[key]
            expected = None
        assert self.index.get(key, self.now) is expected
        if expected is not None:
            self.model.move_to_end(key)

    @rule(name=st.sampled_from("abc"))
    def drop_subject(self, name: str) -> None:
        concerned = [key for key in self.model if subject_of(key) == f"s:t:{name}"]
        assert self.index.drop_subject(f"s:t:{name}") == len(concerned)
        for key in concerned:
            del self.model[key]

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.model)
    @rule()
    def sweep(self) -> None:
        old = [key for key, one in self.model.items() if self.now - one.stored >= one.keep_for]
        assert self.index.sweep(self.now) == len(old)
        for key in old:
            del self.model[key]

    @invariant()
    def is_the_same(self) -> None:
        assert list(self.index) == list(self.model)
        assert self.index.bytes == sum(map(self.size, self.model))
        assert set(self.index.subjects()) == {subject_of(key) for key in self.model}


Lru.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestTheIndexIsLeastRecentlyUsedFirst = Lru.TestCase
