"""The public surface as a program with strict types sees it; checked by mypy, never run."""

from __future__ import annotations

from typing import Any, assert_type

from trunkline.core.cache_stats import CacheStats
from trunkline.core.call import Progress
from trunkline.core.reply import Reply
from trunkline.core.tool import Tool
from trunkline.errors import CallError, Delivery, TrunklineError
from trunkline.runtime.trunk import Trunk


def read_reply(reply: Reply) -> None:
    assert_type(reply.text, str)
    assert_type(reply.is_error, bool)
    assert_type(reply.structured, Any)
    assert_type(reply.elapsed, float)
    assert_type(reply.warnings, tuple[str, ...])


def read_cache(trunk: Trunk, reply: Reply) -> float:
    assert_type(reply.cached, bool)
    assert_type(reply.age, float)
    assert_type(reply.reason, str)
    assert_type(trunk.cache.stats, CacheStats)
    return trunk.cache.stats.hit_rate


def read_tool(tool: Tool) -> None:
    assert_type(tool.public_name, str)
    assert_type(tool.title, str | None)


def read_error(error: CallError) -> TrunklineError:
    assert_type(error.delivery, Delivery)
    assert_type(error.retry_after, float | None)
    assert_type(error.hint, str | None)
    return error


def show_progress(progress: Progress) -> None:
    assert_type(progress.total, float | None)
