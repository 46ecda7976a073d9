"""What becomes of a trunk when every task is cancelled, as `asyncio.run` does at its end."""

from __future__ import annotations

import asyncio

import pytest

import trunkline
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio

POOLED = {"servers": {"fake": {"pool": {"min": 2, "max": 2}}}}


async def test_who_waits_for_a_server_is_told_when_its_owner_was_cancelled_before_it_began():
    others = asyncio.all_tasks()
    async with trunkline.connect({"fake": FakeServer()}, policy=POOLED) as trunk:
        for task in asyncio.all_tasks() - others:
            task.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(trunkline.UnavailableError):
                await trunk.ready("fake")
            await trunk.aclose()
