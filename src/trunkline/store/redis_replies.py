"""Answers kept in Redis or Valkey, for all machines that use the same one; needs the extra `redis`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from trunkline.errors import ConfigError
from trunkline.store.replies import SALT_BYTES, Found

if TYPE_CHECKING:
    from redis.asyncio import Redis

_PREFIX = "trunkline:"
_SALT = f"{_PREFIX}salt"
_PATIENCE = 0.5
"""Seconds that one exchange may take."""
_PAGE = 500
_CONNECTIONS = 16
"""Most connections at a time; whoever finds them taken waits."""


class RedisReplies:
    """Keeps answers under keys that begin with `trunkline:`, each with the time after which it goes.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as redis-py takes it.
        client: a client of redis-py to use instead; it is not closed.

    Raises:
        ConfigError: redis-py is not installed, or the URL cannot be used.
    """

    def __init__(self, url: str = "", *, client: Redis | None = None) -> None:
        self._own = client is None
        self._client = _client(url) if client is None else client

    def __repr__(self) -> str:
        return "RedisReplies()"

    async def salt(self) -> bytes:
        """Give the random bytes that keys are made with; made by whoever comes first."""
        await self._client.set(_SALT, os.urandom(SALT_BYTES), nx=True)
        return _as_bytes(await self._client.get(_SALT)) or b""

    async def get(self, key: str) -> Found:
        """Give what is kept under a key."""
        value, mark = await self._client.mget(_PREFIX + key, _mark_key(key.partition(":")[0]))
        return Found(_as_bytes(value), int(mark or 0))

    async def put(self, key: str, value: bytes, keep_for: float, mark: int) -> bool:
        """Keep this for so many seconds, if nothing of its server was forgotten since."""
        if keep_for < 0.001:
            return False
        from redis.exceptions import WatchError

        counted = _mark_key(key.partition(":")[0])
        async with self._client.pipeline(transaction=True) as exchange:
            await exchange.watch(counted)
            if int(await exchange.get(counted) or 0) != mark:
                return False
            exchange.multi()  # type: ignore[no-untyped-call]
            exchange.set(_PREFIX + key, value, px=int(keep_for * 1000))
            try:
                await exchange.execute()
            except WatchError:
                return False
        return True

    async def drop(self, server: str, concerned: Callable[[str], bool]) -> int:
        """Forget the answers of a server whose keys are meant; takes longer, the more is kept."""
        await self._client.incr(_mark_key(server))
        count = 0
        keys: list[str] = []
        async for found in self._client.scan_iter(match=f"{_PREFIX}{server}:*", count=_PAGE):
            key = found if isinstance(found, str) else bytes(found).decode("utf-8", "replace")
            if concerned(key.removeprefix(_PREFIX)):
                keys.append(key)
            if len(keys) >= _PAGE:
                count += int(await self._client.unlink(*keys))
                keys.clear()
        return count + (int(await self._client.unlink(*keys)) if keys else 0)

    async def close(self) -> None:
        """Close the connections."""
        if self._own:
            await self._client.aclose()


def _as_bytes(value: bytes | str | None) -> bytes | None:
    """Give what came, also from a client that was told to decode it."""
    return value.encode() if isinstance(value, str) else value


def _mark_key(server: str) -> str:
    return f"{_PREFIX}mark:{server}"


def _client(url: str) -> Redis:
    try:
        from redis.asyncio import BlockingConnectionPool, Redis
    except ImportError as cause:
        raise ConfigError(
            "answers cannot be kept in Redis: redis is not installed",
            field="cache.store",
            hint="Install trunkline[redis], or set cache.store to memory or disk.",
        ) from cause
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_PATIENCE,
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
        )
        return Redis.from_pool(pool)
    except ValueError as cause:
        raise ConfigError(
            "this is no URL of a Redis",
            field="cache.store",
            hint='Write it as in store = "redis://localhost:6379/0".',
        ) from cause
