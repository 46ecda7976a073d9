"""The blocking library offers what the asynchronous one does, under the same names and parameters."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import trunkline.sync
from trunkline.runtime.callable import ToolFunction
from trunkline.runtime.connect import connect
from trunkline.runtime.handle import Handle
from trunkline.runtime.lease import Lease
from trunkline.runtime.task_handle import TaskHandle
from trunkline.runtime.trunk import Trunk

RENAMED = {"aclose": "close"}
INNER = {"flight", "run_in", "finish", "fail", "lapse"}
"""What a handle offers to the runtime, not to applications."""
PAIRS = [
    (Trunk, trunkline.sync.Trunk),
    (Handle, trunkline.sync.Handle),
    (TaskHandle, trunkline.sync.TaskHandle),
    (Lease, trunkline.sync.Lease),
]


def public(kind: type) -> dict[str, Any]:
    """Give the public methods and properties of a class and its parents."""
    found = {name: value for base in reversed(kind.__mro__[:-1]) for name, value in vars(base).items()}
    return {name: value for name, value in found.items() if not name.startswith("_") and name not in INNER}


@pytest.mark.parametrize(("original", "mirror"), PAIRS)
def test_every_public_name_exists_with_the_same_parameters(original: type, mirror: type) -> None:
    """Something new on `Trunk` needs its blocking counterpart in `trunkline/sync/trunk.py`."""
    mirrored = public(mirror)
    names = {name: RENAMED.get(name, name) for name in public(original)}
    assert sorted(set(names.values()) - mirrored.keys()) == []
    for name, value in public(original).items():
        counterpart = mirrored[names[name]]
        if isinstance(value, property):
            assert isinstance(counterpart, property), name
        else:
            assert shape(counterpart) == shape(value), name


@pytest.mark.parametrize(("original", "mirror"), PAIRS)
def test_every_public_name_says_what_it_does_in_the_same_words(original: type, mirror: type) -> None:
    for name, value in public(mirror).items():
        assert value.__doc__, name
        counterpart = public(original).get(name)
        if counterpart is not None and name != "result":
            assert value.__doc__ == counterpart.__doc__, name


def test_the_blocking_library_has_nothing_of_its_own_but_close() -> None:
    extra = public(trunkline.sync.Trunk).keys() - public(Trunk).keys()
    assert extra == {"close", "config"}


def test_connect_and_tool_functions_take_the_same_parameters() -> None:
    assert shape(trunkline.sync.connect) == shape(connect)
    assert shape(trunkline.sync.ToolFunction.__call__) == shape(ToolFunction.__call__)


def shape(function: Any) -> list[tuple[str, Any, Any]]:
    """Give name, kind and default of each parameter."""
    parameters = inspect.signature(function).parameters.values()
    return [(one.name, one.kind, one.default) for one in parameters]
