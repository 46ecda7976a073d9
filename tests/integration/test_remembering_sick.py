"""A store that is broken, foreign, newer, slow or shared costs what it would have given and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline import FileStore, MemoryStore
from trunkline.runtime import remembering
from trunkline.store.port import SALT
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

SECRETS = {
    "variable": "s3cret-of-a-variable",
    "argument": "s3cret-of-an-argument",
    "header": "s3cret-of-a-header",
    "user": "s3cret-of-the-user",
    "query": "s3cret-of-the-query",
    "key": "s3cret-of-the-key",
    "proxy": "s3cret-of-the-proxy",
}


def shop(name: str = "shop") -> FakeServer:
    server = FakeServer(name)
    server.tool("buy", returns="bought")
    return server


async def run(url: str, store: Any) -> bool:
    """Run once; give whether the tools were there from the beginning."""
    async with trunkline.connect({"shop": {"url": url}}, store=store) as trunk:
        found = bool(trunk.catalog.tools)
        await trunk.ready()
        assert (await trunk.call("buy")).text == "bought"
        return found


def plain_digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).hexdigest()[:16].encode()


class Raising:
    """A store in which one method fails."""

    def __init__(self, method: str) -> None:
        self._inner, self._method = MemoryStore(), method

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            raise RuntimeError("no\x1b[2J such luck")
        return getattr(self._inner, name)


@pytest.mark.parametrize(("method", "word"), [("get", "read"), ("put", "written")])
async def test_a_store_that_raises_is_reported_once_and_fails_no_start(
    method: str, word: str, caplog: pytest.LogCaptureFixture
):
    async with shop().http() as one, shop("other").http() as two:
        entries = {"a": {"url": one}, "b": {"url": two}}
        with caplog.at_level(logging.WARNING, "trunkline.store"):
            async with trunkline.connect(entries, store=Raising(method)) as trunk:
                await trunk.ready()
                assert {status.state for status in trunk.status().values()} == {"ready"}
    (line,) = (record.getMessage() for record in caplog.records if record.name == "trunkline.store")
    assert f"cannot be {word}: no\\u001b[2J such luck" in line


@pytest.mark.parametrize(
    "damage", [b"", b"\x00\xff" * 50, b'{"version":1,"revision":"2026-07-28"', b"[" * 10_000]
)
async def test_a_memory_that_is_broken_is_as_good_as_none_and_is_made_anew(damage: bytes):
    store = MemoryStore()
    async with shop().http() as url:
        await run(url, store)
        sound = dict(store.kept)
        for key in store.kept:
            store.kept[key] = damage if key != SALT else store.kept[key]
        assert await run(url, store) is False
        assert {key for key in sound if b"buy" in store.kept[key]} == {key for key in sound if "." in key}
        assert await run(url, store) is True


async def test_a_salt_that_is_broken_is_made_anew():
    store = MemoryStore()
    async with shop().http() as url:
        await run(url, store)
        store.kept[SALT] = b"short"
        assert [await run(url, store), await run(url, store)] == [False, True]


async def test_what_a_newer_version_wrote_is_neither_read_nor_replaced(caplog: pytest.LogCaptureFixture):
    store = MemoryStore()
    async with shop().http() as url:
        await run(url, store)
        newer = {key: b'{"version":99,"lists":"other"}' for key in store.kept if key != SALT}
        store.kept |= newer
        assert await run(url, store) is False
    assert {key: store.kept[key] for key in newer} == newer
    assert "version 99" in caplog.text


async def test_a_memory_of_an_unknown_revision_is_not_believed():
    store = MemoryStore()
    async with shop().http() as url:
        await run(url, store)
        for key in store.kept:
            store.kept[key] = store.kept[key].replace(b"2026-07-28", b"2031-01-01")
        assert await run(url, store) is True


async def test_a_store_that_hangs_delays_neither_start_nor_end_for_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remembering, "_FAREWELL", 0.05)
    done = threading.Event()

    class Hanging(MemoryStore):
        def put(self, key: str, value: bytes) -> None:  # noqa: ARG002
            done.wait(30)

    try:
        async with shop().http() as url:
            async with asyncio.timeout(10):
                assert await run(url, Hanging()) is False
    finally:
        done.set()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "servers"
    for path in (tmp_path / "servers", tmp_path):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)


def spoil(folder: Path, kind: str) -> Path:
    """Make a folder unusable, and give it."""
    if kind == "open to all":
        folder.mkdir()
        folder.chmod(0o777)
        return folder
    folder.write_text("mine")
    return folder if kind == "a file" else folder / "deeper"


@pytest.mark.parametrize("kind", ["a file", "open to all", "below a file"])
async def test_a_folder_that_cannot_be_used_costs_only_the_memory(
    folder: Path, kind: str, caplog: pytest.LogCaptureFixture
):
    folder = spoil(folder, kind)
    async with shop().http() as url:
        assert [await run(url, FileStore(folder)) for _ in range(2)] == [False, False]
    assert "cannot be" in caplog.text


async def test_no_secret_of_an_entry_or_its_way_is_in_the_store_nor_a_plain_digest_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("KEY_PASSWORD", SECRETS["key"])
    monkeypatch.setenv("PROXY_PASSWORD", SECRETS["proxy"])
    store = FileStore(tmp_path / "servers")
    local = shop("local").to_stdio_entry(tmp_path, env={"API_TOKEN": SECRETS["variable"]})
    local["args"] = ["-X", f"token={SECRETS['argument']}", *local["args"]]
    async with shop().http() as url:
        remote = {
            "url": f"{url.replace('://', '://me:' + SECRETS['user'] + '@')}?token={SECRETS['query']}",
            "headers": {"X-Api-Key": SECRETS["header"]},
        }
        policy = {
            "servers": {
                "remote": {"tls": {"key_password": "${KEY_PASSWORD}"}},
                "proxied": {"proxy": "http://me:${PROXY_PASSWORD}@127.0.0.1:9"},
            }
        }
        entries = {"local": local, "remote": remote, "proxied": {"url": "http://192.0.2.1/"}}
        async with trunkline.connect(entries, store=store, policy=policy) as trunk:
            await trunk.ready("remote", lists=True)
            await trunk.ready("local", lists=True)
    files = {path.name: path.read_bytes() for path in store.folder.iterdir()}
    assert len([name for name in files if "." in name]) == 2
    text = b"".join([name.encode() + content for name, content in files.items()])
    assert [
        name for name, value in SECRETS.items() if value.encode() in text or value[3:14].encode() in text
    ] == []


async def test_a_name_or_text_in_memory_is_sanitized_like_one_of_the_wire():
    server, store = shop(), MemoryStore()
    server.raw_tool({"name": "x\u202ey", "description": "\x1b[31mred", "inputSchema": {"type": "object"}})
    async with server.http() as url:
        await run(url, store)
        server.fault("tools/list", Fault.hang)
        async with trunkline.connect({"shop": {"url": url}}, store=store) as trunk:
            from trunkline.cli.render import render_tools
            from trunkline.cli.style import plain

            shown = render_tools(trunk.catalog.tools, plain)
    assert "stale" in shown
    assert not {"\u202e", "\x1b"} & set(shown)


HAMMER = """
import sys
from pathlib import Path
from trunkline.store.files import FileStore

store, own = FileStore(Path(sys.argv[1])), sys.argv[2].encode()
for number in range(150):
    value = own * (1000 + number)
    store.put("a1", value)
    found = store.get("a1")
    assert found and len(set(found)) == 1 and 1000 <= len(found) < 1150, found
    store.put(f"b{number % 7}", value)
    if number % 10 == 0:
        store.drop("b3")
"""


def test_processes_that_write_the_same_at_once_never_see_half_of_it(tmp_path: Path):
    folder = tmp_path / "servers"
    command = [sys.executable, "-W", "error", "-c", HAMMER, str(folder)]
    running = [subprocess.Popen([*command, own], stderr=subprocess.PIPE, text=True) for own in "wxyz"]
    errors = [process.communicate(timeout=30)[1] for process in running]
    assert (errors, [process.returncode for process in running]) == ([""] * 4, [0] * 4)
    assert [name for name in os.listdir(folder) if name.startswith(".")] == []


START = """
import asyncio, sys, trunkline
from pathlib import Path

async def main():
    store = trunkline.FileStore(Path(sys.argv[2]))
    async with trunkline.connect({"shop": {"url": sys.argv[1]}}, store=store) as trunk:
        assert (await trunk.call("buy")).text == "bought"

asyncio.run(main())
"""


async def test_processes_that_first_start_at_once_both_leave_something_to_remember(tmp_path: Path):
    folder = tmp_path / "servers"
    async with shop().http() as url:
        command = [sys.executable, "-W", "error", "-c", START, url, str(folder)]
        running = [await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE) for _ in "12"]
        ended = await asyncio.gather(*(process.communicate() for process in running))
        assert [error for _, error in ended if error] == []
        assert await run(url, FileStore(folder)) is True
    records = [FileStore(folder).get(one.key) for one in FileStore(folder).kept()]
    assert {json.loads(record or b"")["server"] for record in records} == {"shop"}
