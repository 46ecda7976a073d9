"""Fixtures for tests of applications.

Put `pytest_plugins = ["trunkline.testing.pytest_plugin"]` in the outermost `conftest.py`. They hold
no event loop, so they work with anyio's plugin, pytest-asyncio, or neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest

from trunkline.testing.fake import FakeServer

if TYPE_CHECKING:
    from pathlib import Path

    from trunkline.testing.mocking import MockTrunk

Value = TypeVar("Value")


class RunInVirtualTime(Protocol):
    """Runs a coroutine to its end on a `VirtualTimeLoop` and gives its result."""

    def __call__(self, main: Coroutine[Any, Any, Value], *, seed: int | None = None) -> Value: ...


@pytest.fixture
def fake_server() -> FakeServer:
    """Give a new `FakeServer` named `fake`, of both families."""
    return FakeServer()


@pytest.fixture
def make_hostile_server() -> Callable[..., FakeServer]:
    """Give `trunkline.testing.hostile_server`: each behavior of `HOSTILE` is one of its servers."""
    from trunkline.testing.hostile import hostile_server

    return hostile_server


@pytest.fixture
def mock_trunk() -> Callable[..., MockTrunk]:
    """Give `trunkline.testing.mock`."""
    from trunkline.testing.mocking import mock

    return mock


@pytest.fixture
def run_in_virtual_time() -> RunInVirtualTime:
    """Give a function that runs a coroutine on a `VirtualTimeLoop`: hours pass in milliseconds."""
    from functools import partial

    from trunkline.testing.virtual_time import VirtualTimeLoop

    def run(main: Coroutine[Any, Any, Value], *, seed: int | None = None) -> Value:
        with asyncio.Runner(loop_factory=partial(VirtualTimeLoop, seed=seed)) as runner:
            return runner.run(main)

    return run


@pytest.fixture
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the configuration of the person who runs the test out of it; gives the empty working directory."""
    home = tmp_path / "home"
    work = tmp_path / "work"
    home.mkdir()
    work.mkdir()
    for name in ("HOME", "USERPROFILE", "APPDATA"):
        monkeypatch.setenv(name, str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("TRUNKLINE_PROFILE", raising=False)
    monkeypatch.chdir(work)
    return work
