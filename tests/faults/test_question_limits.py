"""How much servers may ask, and what no person or model is asked: credentials, deceiving URLs, too much."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.testing import Ask, FakeServer

pytestmark = pytest.mark.anyio

DAY = {"day": {"type": "string", "enum": ["mon", "tue"], "default": "tue"}}
MODEL = trunkline.SampleResult(content="Paris", model="small")


def asking(family: str, *asks: Any) -> FakeServer:
    server = FakeServer(eras=[family])
    server.tool("ask", asks=list(asks), reports="answers")
    return server


def boom(_: Any) -> Any:
    raise AssertionError("a person or model was asked")


@pytest.mark.over("memory")
async def test_a_form_that_asks_for_a_credential_is_declined_and_nobody_is_asked(
    way: Any, reach: Any, caplog: pytest.LogCaptureFixture
):
    server = asking(
        way.family, Ask.form("q", "Sign in", {"user": {"type": "string"}, "apiKey": {"type": "string"}})
    )
    async with reach(server, way, handlers=trunkline.Handlers(elicit=boom)) as trunk:
        assert (await trunk.call("fake.ask")).value == {"q": {"action": "decline"}}
    assert "'apiKey' looks like a credential" in caplog.text


@pytest.mark.over("memory")
async def test_an_application_may_take_credentials_if_it_says_so(way: Any, reach: Any):
    server = asking(way.family, Ask.form("q", "Sign in", {"apiKey": {"type": "string"}}))
    handlers = trunkline.Handlers(
        elicit=lambda _: {"action": "accept", "content": {"apiKey": "k"}}, allow_credentials=True
    )
    async with reach(server, way, handlers=handlers) as trunk:
        assert (await trunk.call("fake.ask")).value["q"]["content"] == {"apiKey": "k"}


@pytest.mark.over("memory")
async def test_a_deceiving_url_is_declined_and_nobody_is_asked(
    way: Any, reach: Any, caplog: pytest.LogCaptureFixture
):
    server = asking(way.family, Ask.visit("q", "Log in", "https://good.com@evil.com/s3cret", "v1"))
    async with reach(server, way, handlers=trunkline.Handlers(elicit=boom)) as trunk:
        assert (await trunk.call("fake.ask")).value == {"q": {"action": "decline"}}
    assert "holds a user name" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.over("memory")
async def test_a_mode_that_is_not_taken_is_refused(way: Any, reach: Any):
    server = asking(way.family, Ask.visit("q", "Log in", "https://good.com/", "v1"))
    handlers = trunkline.Handlers(elicit=boom, elicit_modes=("form",))
    async with reach(server, way, handlers=handlers) as trunk:
        if way.family == "legacy":
            assert (await trunk.call("fake.ask")).value["q"]["error"]["code"] == -32602
        else:
            with pytest.raises(trunkline.ProtocolError, match="'url'"):
                await trunk.call("fake.ask")


@pytest.mark.over("memory")
async def test_a_suspicious_url_and_text_come_with_warnings(way: Any, reach: Any):
    seen: list[trunkline.ElicitRequest] = []
    server = asking(
        way.family,
        Ask.visit("a", "Log in", "https://xn--80ak6aa92e.com/", "v1"),
        Ask.form("b", "Paste your password", {"value": {"type": "string"}}),
    )
    async with reach(server, way, handlers=trunkline.Handlers(elicit=lambda one: seen.append(one))) as trunk:
        await trunk.call("fake.ask")
    assert [len(one.warnings) for one in seen] == [1, 1]


@pytest.mark.over("memory")
async def test_sampling_stops_exactly_at_the_budget_of_its_server(way: Any, reach: Any):
    granted: list[int] = []

    async def sample(request: trunkline.SampleRequest) -> trunkline.SampleResult:
        granted.append(request.max_tokens)
        return MODEL

    server = asking(way.family, *(Ask.sample(str(n), "?", max_tokens=100) for n in range(5)))
    other = asking(way.family, Ask.sample("q", "?", max_tokens=100))
    limits = trunkline.HandlerLimits(sample_tokens=1200, concurrency=3)
    handlers = trunkline.Handlers(sample=sample, limits=limits)
    async with reach(server, way, handlers=handlers) as trunk:
        await trunk.add("other", other)
        refused = 0
        for _ in range(5):
            outcome = (await asyncio.gather(trunk.call("fake.ask"), return_exceptions=True))[0]
            if isinstance(outcome, trunkline.CallError):
                assert outcome.code == "sample_budget_spent"
                refused += 1
            else:
                refused += sum("error" in answer for answer in outcome.value.values()) > 0
        assert sum(granted) == 1200
        assert refused == 3
        assert (await trunk.call("other.ask")).value["q"]["model"] == "small"


@pytest.mark.over("memory")
async def test_tokens_that_were_not_generated_are_given_back(way: Any, reach: Any):
    results = [trunkline.SampleResult(content="x", model="m", tokens=10), None, MODEL]
    server = asking(way.family, Ask.sample("q", "?", max_tokens=100))
    limits = trunkline.HandlerLimits(sample_tokens=110)
    handlers = trunkline.Handlers(sample=lambda _: results.pop(0), limits=limits)
    async with reach(server, way, handlers=handlers) as trunk:
        await trunk.call("fake.ask")
        if way.family == "legacy":
            assert (await trunk.call("fake.ask")).value["q"]["error"]["code"] == -1
        else:
            with pytest.raises(trunkline.DeniedError, match="declined"):
                await trunk.call("fake.ask")
        await trunk.call("fake.ask")
    assert results == []


@pytest.mark.over("memory")
async def test_one_call_leads_to_so_many_prompts_and_the_next_may_ask_again(way: Any, reach: Any):
    asked: list[Any] = []
    server = asking(way.family, *([Ask.form(str(n), "?", DAY)] for n in range(4)))
    server.tool("once", asks=[Ask.form("q", "?", DAY)], reports="answers")
    limits = trunkline.HandlerLimits(prompts=3)
    handlers = trunkline.Handlers(elicit=lambda one: asked.append(one), limits=limits)
    async with reach(server, way, handlers=handlers) as trunk:
        if way.family == "legacy":
            assert "error" in (await trunk.call("fake.ask")).value["3"]
        else:
            with pytest.raises(trunkline.ProtocolError, match="often enough") as caught:
                await trunk.call("fake.ask")
            assert caught.value.code == "too_many_prompts"
        assert len(asked) == 3
        assert (await trunk.call("fake.once")).value == {"q": {"action": "decline"}}


@pytest.mark.over("memory")
async def test_so_many_questions_wait_at_a_time(way: Any, reach: Any):
    most, running = 0, 0

    async def elicit(_: Any) -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    server = asking(way.family, *(Ask.form(str(n), "?", DAY) for n in range(6)))
    handlers = trunkline.Handlers(elicit=elicit, limits=trunkline.HandlerLimits(concurrency=2))
    async with reach(server, way, handlers=handlers) as trunk:
        answers = list((await trunk.call("fake.ask")).value.values())
    assert most == 2
    if way.family == "legacy":
        assert ["error" in answer for answer in answers] == [False] * 2 + [True] * 4
    else:
        assert answers == [{"action": "decline"}] * 6
