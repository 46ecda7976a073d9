"""A runtime of values for the commands: `world` says what it does, `trunkline` runs a command line on it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from trunkline.cli import session
from trunkline.cli.main import main
from trunkline.core.call import Progress
from trunkline.core.prompt import Prompt, PromptReply
from trunkline.core.reply import Reply
from trunkline.core.resource import ReadReply, Resource, Template
from trunkline.core.status import ServerStatus
from trunkline.core.tool import Tool
from trunkline.errors import NotFoundError


def ready() -> ServerStatus:
    return ServerStatus(state="ready", since=1.0, era="2025-11-25", transport="stdio", tools=2)


def failed(**changes: Any) -> ServerStatus:
    facts = {
        "state": "failed",
        "since": 1.0,
        "era": None,
        "tools": None,
        "last_error": "exited with 1",
        "hint": "Look.",
    }
    return ServerStatus(**(facts | changes))


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    name: str


class Config(msgspec.Struct, frozen=True, kw_only=True):
    entries: tuple[Entry, ...] = ()
    sources: tuple[str, ...] = ("mcp.json",)
    warnings: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()


def tool(server: str, name: str, description: str = "", **properties: Any) -> Tool:
    schema = {"type": "object", "properties": properties, "required": list(properties)[:1]}
    return Tool(
        name=name, server=server, public_name=f"{server}.{name}", description=description, input_schema=schema
    )


TOOLS = (
    tool(
        "git",
        "log",
        "Show commits. And more.",
        path={"type": "string"},
        count={"type": "integer", "default": 5},
    ),
    tool("git", "status", "Show the state."),
    tool("time", "now", "Tell the time.", zone={"type": "string", "description": "IANA name"}),
)


class FakeTrunk:
    """Answers from values and keeps what it was asked."""

    def __init__(self, config: Config, world: World) -> None:
        self.names = [entry.name for entry in config.entries]
        self.world = world
        self.catalog = SimpleNamespace(
            tools=tuple(tool for tool in TOOLS if tool.server in self.names),
            resources=tuple(one for one in world.resources if one.server in self.names),
            templates=tuple(one for one in world.templates if one.server in self.names),
            prompts=tuple(one for one in world.prompts if one.server in self.names),
            resolve=self._resolve,
        )

    async def __aenter__(self) -> FakeTrunk:
        self.world.started = self.names
        return self

    async def __aexit__(self, *_: object) -> None:
        self.world.closed = True

    async def ready(
        self,
        name: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
        *,
        lists: bool | None = None,
        lazy: bool = False,
    ) -> None:
        self.world.lists, self.world.lazy = lists, lazy
        self.world.waited.append((name, timeout))
        if self.world.not_ready is not None:
            raise self.world.not_ready

    def status(self) -> dict[str, ServerStatus]:
        return {name: self.world.statuses.get(name, ready()) for name in self.names}

    async def search(self, query: str, *, limit: int = 5) -> Sequence[Any]:
        found = [
            SimpleNamespace(tool=tool, score=0.5) for tool in self.catalog.tools if query in tool.description
        ]
        return found[:limit]

    async def call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        timeout: float | None,  # noqa: ASYNC109
        on_progress: Callable[..., None],
        cache: bool = True,
        max_age: float | None = None,
    ) -> Reply:
        self.world.cache.append((cache, max_age))
        self.world.called.append((name, dict(arguments), timeout))
        for progress in self.world.progress:
            on_progress(progress)
        if isinstance(self.world.answer, BaseException):
            raise self.world.answer
        return Reply(
            raw=self.world.answer,
            server="git",
            tool=name,
            elapsed=0.0125,
            era="2025-11-25",
            transport="stdio",
            warnings=self.world.warnings,
            degraded=bool(self.world.degraded),
            reason=self.world.degraded,
        )

    async def read(
        self,
        uri: str,
        server: str | None,
        timeout: float | None,  # noqa: ASYNC109
        *,
        on_progress: Callable[..., None],
        cache: bool = True,
    ) -> ReadReply:
        self.world.cache.append((cache, None))
        self.world.called.append((uri, {"server": server}, timeout))
        for progress in self.world.progress:
            on_progress(progress)
        return self._typed(ReadReply, f"git {uri}", uri=uri)

    async def get_prompt(
        self,
        name: str,
        arguments: Mapping[str, str],
        *,
        timeout: float | None,  # noqa: ASYNC109
        cache: bool = True,
    ) -> PromptReply:
        self.world.cache.append((cache, None))
        self.world.called.append((name, dict(arguments), timeout))
        return self._typed(PromptReply, name)

    def _typed(self, kind: type[Any], tool: str, **facts: Any) -> Any:
        if isinstance(self.world.answer, BaseException):
            raise self.world.answer
        return kind(
            raw=self.world.answer, server="git", tool=tool, era="2025-11-25", transport="stdio", **facts
        )

    def _resolve(self, name: str) -> Tool:
        for known in self.catalog.tools:
            if name in (known.public_name, known.name):
                return known
        raise NotFoundError("no such tool", tool=name, candidates=("git.log",))


class World:
    """What the fake runtime does, and what happened to it."""

    def __init__(self) -> None:
        self.configure("git", "time")
        self.statuses: dict[str, ServerStatus] = {}
        self.warnings: tuple[str, ...] = ()
        self.degraded = ""
        self.answer: Any = {"content": [{"type": "text", "text": "done"}]}
        self.progress: list[Progress] = []
        self.resources: tuple[Resource, ...] = ()
        self.templates: tuple[Template, ...] = ()
        self.prompts: tuple[Prompt, ...] = ()
        self.lists: bool | None = None
        self.lazy = False
        self.not_ready: Exception | None = None
        self.started: list[str] = []
        self.waited: list[tuple[str | None, float | None]] = []
        self.called: list[tuple[str, dict[str, Any], float | None]] = []
        self.cache: list[tuple[bool, float | None]] = []
        self.read: list[tuple[str, ...]] = []
        self.closed = False

    def open(self, config: Any, handlers: Any = None) -> FakeTrunk:  # noqa: ARG002 - as `session.open_trunk`
        """Give the runtime over the servers of a configuration."""
        return FakeTrunk(config, self)

    def configure(self, *servers: str, **facts: Any) -> None:
        """Say which servers are configured, and what else configuration says."""
        self.config = Config(entries=tuple(Entry(name=name) for name in servers), **facts)

    def sicken(self, server: str, **facts: Any) -> None:
        """Make one server failed, or what `facts` say."""
        self.statuses[server] = failed(**facts)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    world = World()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def read_config(names: Sequence[str], profile: str | None = None) -> Config:  # noqa: ARG001
        world.read.append(tuple(names))
        return world.config

    monkeypatch.setattr(session, "read_config", read_config)
    monkeypatch.setattr(session, "open_trunk", world.open)
    monkeypatch.setattr("trunkline.cli.loop.loop_factory", lambda: None)
    monkeypatch.setenv("TRUNKLINE_NO_DAEMON", "1")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    return world


@pytest.fixture
def trunkline(world: World, capfd: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    assert world.closed is False

    def run(*argv: str) -> Run:
        code = main(argv)
        captured = capfd.readouterr()
        assert "Traceback" not in captured.out + captured.err or "-v" in argv
        return Run(code=code, out=captured.out, err=captured.err)

    return run
