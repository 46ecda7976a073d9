"""What a client answers when a server asks: in form, in content, and in what it passes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import trunkline
from trunkline.testing import Ask, FakeServer

pytestmark = pytest.mark.anyio

DAY = {"day": {"type": "string", "default": "mon"}, "hour": {"type": "integer", "default": 9}}
MODEL = trunkline.SampleResult(content="Paris", model="small")


def asking(*asks: Ask, family: Any = "legacy") -> FakeServer:
    server = FakeServer(eras=[family])
    server.tool("ask", asks=list(asks), reports="answers")
    return server


@pytest.mark.requirement("RESPONSE-SAME-ID", "RESPONSE-RESULT-OR-ERROR", "RESPONSE-NOT-BOTH")
@pytest.mark.requirement("ERROR-SHAPE", "ERROR-CODE-INTEGER")
async def test_a_response_has_the_id_of_its_request_and_either_a_result_or_an_error(make_tap: Any):
    tap = make_tap(asking(Ask.roots("a"), Ask.sample("b", "?"), Ask("c", "ping"), Ask("d", "x/y")))
    asked: list[Any] = []

    class Listening:
        async def serve(self, receive: Callable[[], Awaitable[bytes]], send: Callable[[bytes], None]) -> None:
            import json

            def sending(frame: bytes) -> None:
                message = json.loads(frame)
                asked.extend([message["id"]] if "method" in message and "id" in message else [])
                send(frame)

            await tap.serve(receive, sending)

    handlers = trunkline.Handlers(roots=lambda _: ["/srv"])
    async with trunkline.connect({"fake": Listening()}, handlers=handlers) as trunk:
        await trunk.call("fake.ask")
    responses = [one for one in tap.messages if "method" not in one]
    assert sorted(one["id"] for one in responses) == sorted(asked)
    assert len(asked) == 4
    assert [("result" in one) + ("error" in one) for one in responses] == [1] * 4
    errors = [one["error"] for one in responses if "error" in one]
    assert {type(one["code"]) for one in errors} == {int}
    assert {type(one["message"]) for one in errors} == {str}


@pytest.mark.requirement("NOTIFICATION-NO-RESPONSE")
async def test_a_notification_is_never_answered(make_tap: Any):
    server = FakeServer(eras=["legacy"])
    server.tool("echo", reports="arguments")
    tap = make_tap(server)
    async with trunkline.connect({"fake": tap}) as trunk:
        await trunk.call("fake.echo")
        for method in ("notifications/message", "notifications/unheard/of", "notifications/cancelled"):
            server.notify(method, {"requestId": 99})
        server.ask(Ask("p", "ping"))
        await server.wait_for(lambda ledger: bool(ledger.of("response")))
    assert len([one for one in tap.messages if "method" not in one]) == 1


@pytest.mark.requirement("ELICIT-REVIEW", "ELICIT-MODE-DEFAULT")
@pytest.mark.parametrize("family", ["legacy", "modern"])
async def test_a_question_without_a_mode_is_a_form_and_every_field_of_it_can_be_changed(family: str):
    schema = {"type": "object", "properties": DAY}
    ask = Ask("q", "elicitation/create", {"message": "When?", "requestedSchema": schema})
    modes: list[str] = []

    def elicit(request: trunkline.ElicitRequest) -> trunkline.ElicitResult:
        modes.append(request.mode)
        return trunkline.ElicitResult.accept(request.defaults | {"day": "tue", "hour": 23})

    handlers = trunkline.Handlers(elicit=elicit)
    async with trunkline.connect({"fake": asking(ask, family=family)}, handlers=handlers) as trunk:
        reply = await trunk.call("fake.ask")
    assert modes == ["form"]
    assert reply.value["q"] == {"action": "accept", "content": {"day": "tue", "hour": 23}}


@pytest.mark.requirement("ELICIT-UNKNOWN-ID")
async def test_word_of_a_visit_that_nobody_waits_for_harms_nothing():
    server = FakeServer(eras=["legacy"])
    server.tool("echo", reports="arguments")
    handlers = trunkline.Handlers(elicit=lambda _: None)
    async with trunkline.connect({"fake": server}, handlers=handlers) as trunk:
        await trunk.ready()
        for params in ({"elicitationId": "unheard-of"}, {"elicitationId": 7}, {}):
            server.notify("notifications/elicitation/complete", params)
        assert (await trunk.call("fake.echo", {"n": 1})).is_error is False
        assert trunk.status()["fake"].restarts == 0


@pytest.mark.requirement("SAMPLING-TOOL-CHOICE", "SAMPLING-HINTS")
@pytest.mark.parametrize("family", ["legacy", "modern"])
async def test_what_a_server_wishes_of_the_model_reaches_the_handler(family: str):
    seen: list[trunkline.SampleRequest] = []

    def sample(request: trunkline.SampleRequest) -> trunkline.SampleResult:
        seen.append(request)
        return MODEL

    wishes = {"hints": [{"name": "small"}], "costPriority": 0.9}
    ask = Ask.sample(
        "q", "?", tools=[{"name": "t"}], toolChoice={"mode": "required"}, modelPreferences=wishes
    )
    handlers = trunkline.Handlers(sample=sample, sample_tools=True)
    async with trunkline.connect({"fake": asking(ask, family=family)}, handlers=handlers) as trunk:
        await trunk.call("fake.ask")
    (request,) = seen
    assert (request.tool_choice, request.max_tokens) == ("required", 100)
    assert request.raw["modelPreferences"] == wishes
    assert request.model_preferences is not None


@pytest.mark.requirement("SAMPLING-NOT-RETAINED")
async def test_messages_of_one_question_are_not_in_the_next():
    seen: list[int] = []

    def sample(request: trunkline.SampleRequest) -> trunkline.SampleResult:
        seen.append(len(request.messages))
        return MODEL

    server = asking(Ask.sample("a", "first"), Ask.sample("b", "second"))
    async with trunkline.connect({"fake": server}, handlers=trunkline.Handlers(sample=sample)) as trunk:
        await trunk.call("fake.ask")
        await trunk.call("fake.ask")
    assert seen == [1, 1, 1, 1]


@pytest.mark.requirement("SAMPLING-ERRORS")
async def test_a_declined_sample_is_answered_with_minus_one():
    handlers = trunkline.Handlers(sample=lambda _: None)
    async with trunkline.connect({"fake": asking(Ask.sample("q", "?"))}, handlers=handlers) as trunk:
        assert (await trunk.call("fake.ask")).value["q"]["error"]["code"] == -1


@pytest.mark.requirement("ROOTS-CHANGED")
async def test_the_application_can_say_that_its_roots_changed():
    server = FakeServer(eras=["legacy"])
    roots = ["/srv/one"]
    server.tool("ask", asks=[Ask.roots()], reports="answers")
    async with trunkline.connect(
        {"fake": server}, handlers=trunkline.Handlers(roots=lambda _: roots)
    ) as trunk:
        await trunk.ready()
        assert server.ledger.of("initialize")[0].params["capabilities"]["roots"] == {"listChanged": True}
        roots.append("/srv/two")
        await trunk.notify("fake", "notifications/roots/list_changed")
        await server.wait_for(lambda ledger: bool(ledger.of("notifications/roots/list_changed")))
        assert len((await trunk.call("fake.ask")).value["roots"]["roots"]) == 2


@pytest.mark.requirement("TASKS-IGNORED-METADATA")
async def test_a_question_that_asks_to_become_a_task_is_answered_as_any_other():
    ask = Ask.sample("q", "?", task={"ttl": 60_000})
    handlers = trunkline.Handlers(sample=lambda _: MODEL)
    async with trunkline.connect({"fake": asking(ask)}, handlers=handlers) as trunk:
        answer = (await trunk.call("fake.ask")).value["q"]
    assert (answer["model"], "task" in answer) == ("small", False)
