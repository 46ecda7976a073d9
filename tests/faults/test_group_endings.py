"""Ending what a server leaves in its process group: who only waits to be collected is not waited for."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from trunkline.transport.ending import end_process
from trunkline.transport.kin import Kin
from trunkline.transport.process import is_group_alive

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="told by /proc"),
]

LEADER = """
import os, sys, time
parent = os.fork()
if parent == 0:
    if os.fork() == 0:
        os._exit(0)  # stays in the group, uncollected
    os.setsid()
    print(os.getpid(), flush=True)
    time.sleep(600)
sys.stdin.read()
"""
"""Its child leaves the group and never collects its own, which stays in it."""


async def test_an_ended_member_of_the_group_that_nobody_collects_is_not_waited_for():
    leader = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-S", "-c", LEADER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert leader.stdin is not None
    assert leader.stdout is not None
    keeper = int(leader.stdout.readline())
    try:
        leader.stdin.close()
        exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        exited.set_result(leader.wait())
        os.killpg(leader.pid, 0)  # the uncollected one is there
        assert not is_group_alive(leader.pid)
        async with asyncio.timeout(30):
            await end_process(Kin(leader.pid), exited, 600, polite=True)
    finally:
        leader.stdout.close()
        os.kill(keeper, signal.SIGKILL)


async def test_a_living_member_of_the_group_is_seen():
    living = subprocess.Popen(["sleep", "600"], start_new_session=True)  # noqa: ASYNC220
    try:
        assert is_group_alive(living.pid)
    finally:
        living.kill()
        living.wait()
    assert not is_group_alive(living.pid)
