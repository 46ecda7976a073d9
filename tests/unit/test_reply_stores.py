"""Places for answers outside of a runtime: a file, and a Redis that is faked in this process."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from trunkline.errors import ConfigError
from trunkline.store.redis_replies import RedisReplies
from trunkline.store.replies import Kept, ReplyStore, read_kept, write_kept
from trunkline.store.sqlite_replies import DiskReplies

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["disk", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ReplyStore]:
    made: ReplyStore
    if request.param == "disk":
        made = DiskReplies(tmp_path / "replies")
        yield made
        await made.close()
        return
    from fakeredis import FakeAsyncRedis

    async with FakeAsyncRedis() as client:
        made = RedisReplies(client=client)
        yield made
        await made.close()


async def test_what_was_kept_is_found_under_its_key_only(store: ReplyStore) -> None:
    assert await store.get("s:t:a:p:1") == (None, 0)
    assert await store.put("s:t:a:p:1", b"one", 60.0, 0)
    assert await store.get("s:t:a:p:1") == (b"one", 0)
    assert await store.get("s:t:a:p:2") == (None, 0)
    assert await store.put("s:t:a:p:1", b"another", 60.0, 0)
    assert (await store.get("s:t:a:p:1")).value == b"another"


async def test_what_is_over_is_gone(store: ReplyStore) -> None:
    await store.put("s:t:a:p:1", b"one", 0.0, 0)
    assert (await store.get("s:t:a:p:1")).value is None


async def test_what_is_meant_is_forgotten_and_what_was_asked_before_is_not_kept(store: ReplyStore) -> None:
    for key in ("s:t:a:p:1", "s:t:a:p:2", "s:t:b:p:1", "s2:t:a:p:1"):
        await store.put(key, b"x", 60.0, 0)
    assert await store.drop("s", lambda key: key.startswith("s:t:a:")) == 2
    found = [key for key in ("s:t:a:p:1", "s:t:b:p:1", "s2:t:a:p:1") if (await store.get(key)).value]
    assert found == ["s:t:b:p:1", "s2:t:a:p:1"]
    assert not await store.put("s:t:a:p:1", b"old", 60.0, 0)
    assert await store.put("s:t:a:p:1", b"new", 60.0, (await store.get("s:t:a:p:1")).mark)


async def test_everybody_gets_the_same_salt(store: ReplyStore) -> None:
    salt = await store.salt()
    assert (len(salt), await store.salt()) == (32, salt)


async def test_a_file_is_for_its_user_alone_and_is_found_by_the_next_run(tmp_path: Path) -> None:
    first = DiskReplies(tmp_path / "replies")
    await first.put("s:t:a:p:1", b"one", 60.0, 0)
    salt = await first.salt()
    await first.close()
    files = list((tmp_path / "replies").iterdir())
    assert files
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert stat.S_IMODE((tmp_path / "replies").stat().st_mode) == 0o700
    second = DiskReplies(tmp_path / "replies")
    assert (await second.get("s:t:a:p:1")).value == b"one"
    assert await second.salt() == salt
    assert second.clear() == 1
    assert (await second.get("s:t:a:p:1")).value is None
    await second.close()


async def test_a_broken_file_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "replies"
    folder.mkdir(mode=0o700)
    (folder / "replies.sqlite").write_bytes(b"this is no database, and long enough to be seen as none" * 40)
    store = DiskReplies(folder)
    await store.put("s:t:a:p:1", b"one", 60.0, 0)
    assert (await store.get("s:t:a:p:1")).value == b"one"
    await store.close()


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
async def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "replies"
    folder.mkdir()
    folder.chmod(0o777)
    store = DiskReplies(folder)
    with pytest.raises(PermissionError):
        await store.get("s:t:a:p:1")
    await store.close()


async def test_where_there_is_too_much_what_was_used_longest_ago_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.store.sqlite_replies._TIDY", 1)
    now = 1000.0

    def clock() -> float:
        nonlocal now
        now += 10
        return now

    monkeypatch.setattr("trunkline.store.sqlite_replies._now", clock)
    store = DiskReplies(tmp_path / "replies", max_bytes=250)
    await store.put("s:t:a:p:1", b"x" * 100, 1e6, 0)
    await store.put("s:t:a:p:2", b"x" * 100, 1e6, 0)
    await store.get("s:t:a:p:1")
    await store.put("s:t:a:p:3", b"x" * 100, 1e6, 0)
    found = [name for name in "123" if (await store.get(f"s:t:a:p:{name}")).value]
    assert found == ["1", "3"]
    await store.close()


def test_what_is_no_answer_of_ours_is_not_read() -> None:
    head = Kept(key="s:t:a:p:1", stored=100.0, fresh_for=5.0, keep_for=9.0, era="2025-11-25")
    data = write_kept(head, b'{"content":[]}')
    assert read_kept(data, head.key, 100.0) == (head, b'{"content":[]}')
    assert read_kept(data, head.key, 10.0) is None
    newer = write_kept(Kept(version=2, key=head.key, stored=1.0, fresh_for=1.0, keep_for=1.0), b"{}")
    assert read_kept(data, "s:t:a:p:2", 100.0) is None
    for bad in (b"", b"\n", b"{}\n{}", data[:-1], data.replace(b"\n", b""), newer, b"\xff" + data):
        assert read_kept(bad, head.key, 100.0) is None


async def test_nothing_is_kept_that_was_forgotten_between_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    from fakeredis import FakeAsyncRedis
    from redis.asyncio.client import Pipeline

    async with FakeAsyncRedis() as client:
        store, execute = RedisReplies(client=client), Pipeline.execute

        async def late(self: Pipeline) -> object:
            await store.drop("s", lambda _: True)
            return await execute(self)

        monkeypatch.setattr(Pipeline, "execute", late)
        assert not await store.put("s:t:a:p:1", b"old", 60.0, 0)
        assert (await store.get("s:t:a:p:1")).value is None


def test_a_url_that_is_none_names_the_setting() -> None:
    with pytest.raises(ConfigError) as caught:
        RedisReplies("localhost:6379")
    assert caught.value.field == "cache.store"
    assert "redis://" in str(caught.value.hint)
