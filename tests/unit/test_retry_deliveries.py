"""What a deadline says of a call that was tried before: it knows of every try, not of the last one only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from trunkline.core.budget import Budget
from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL
from trunkline.core.reply import Reply
from trunkline.core.retry import RetrySettings
from trunkline.errors import (
    CallError,
    DeadlineExceededError,
    Delivery,
    OutcomeUnknownError,
    UnavailableError,
)
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.retry import Retry
from trunkline.pipeline.service import stack
from trunkline.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


async def late(first: CallError, then: Delivery | None) -> DeadlineExceededError:
    """Give the error of a read that fails once and then hangs, when this much is known of the second try."""

    async def serve(call: Call) -> Reply:
        call.flight.attempts += 1
        if call.flight.attempts == 1:
            call.flight.delivery = "unknown" if first.delivery == "refused" else first.delivery
            raise first
        if then is not None:
            call.flight.delivery = then
        await asyncio.sleep(3600)
        raise AssertionError("it hangs")

    layer = Retry(settings=RetrySettings(), budget=Budget(), safety=lambda _: "read", draw=lambda: 0.5)
    call = Call(
        id="c1",
        server="s",
        name="t",
        public_name="s.t",
        arguments={},
        principal=LOCAL,
        deadline=asyncio.get_running_loop().time() + 20.0,
        idle=60.0,
        flight=Flight(asyncio.get_running_loop().time()),
    )
    with pytest.raises(DeadlineExceededError) as caught:
        await stack([Deadline(), layer], serve)(call)
    assert call.flight.attempts == 2
    return caught.value


@pytest.mark.parametrize("first", [UnavailableError("down"), UnavailableError("busy", delivery="refused")])
async def test_a_call_that_was_turned_away_and_then_not_sent_again_was_never_sent(first: CallError) -> None:
    error = await late(first, None)
    assert (error.delivery, error.retryable) == ("never_sent", True)


@pytest.mark.parametrize("first", [UnavailableError("down"), OutcomeUnknownError("cut")])
async def test_a_call_that_was_sent_again_may_have_run(first: CallError) -> None:
    error = await late(first, "unknown")
    assert (error.delivery, error.retryable) == ("unknown", False)


@pytest.mark.parametrize("then", [None, "refused", "never_sent"])
async def test_a_call_that_may_have_run_once_may_have_run_whatever_became_of_later_tries(
    then: Delivery | None,
) -> None:
    error = await late(OutcomeUnknownError("cut"), then)
    assert (error.delivery, error.retryable) == ("unknown", False)
