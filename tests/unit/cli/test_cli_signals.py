"""What a command leaves of its signals when it has ended."""

from __future__ import annotations

import signal

import pytest
import uvloop

from trunkline.cli.loop import run_loop


@pytest.fixture(scope="module", autouse=True)
def _uvloop_has_begun() -> None:
    """The first uvloop of a process makes a pipe for signals that is never closed; make it now."""
    uvloop.new_event_loop().close()


def test_ctrl_c_works_again_when_a_command_has_ended() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)

    async def work() -> int:
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        return 3

    try:
        assert run_loop(work()) == 3
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
