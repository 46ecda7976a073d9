"""Calls that become tasks, served by the book and against it: one call goes out, and every end is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.testing import Ask, FakeServer, Fault, Result, TaskScript

pytestmark = pytest.mark.anyio

NAME = Ask.form("name", "Who?", {"name": {"type": "string"}})
FAMILIES = pytest.mark.parametrize("family", ["legacy", "modern"])


def serve(family: str = "modern", **script: Any) -> FakeServer:
    """Give a server with the tool `build`, whose calls become tasks in the family's way."""
    server = FakeServer("ci", eras=[family])
    outcome = {
        key: script.pop(key) for key in ("returns", "error", "rpc_error", "output_schema") if key in script
    }
    task = TaskScript(**{"polls": 0, "support": "required", **script})
    server.tool("build", task=task, **(outcome or {"returns": "built"}))
    server.tool("echo", returns="echo")
    return server


def answering(**given: Any) -> trunkline.Handlers:
    return trunkline.Handlers(elicit=lambda _: {"action": "accept", "content": {"name": "Ada"}}, **given)


def count(server: FakeServer, method: str) -> int:
    return len(server.ledger.of(method))


async def failure(awaitable: Any) -> trunkline.CallError:
    with pytest.raises(trunkline.CallError) as caught:
        await awaitable
    return caught.value


@pytest.mark.over("memory", "json", "sse", "websocket")
async def test_a_call_that_becomes_a_task_gives_its_result_as_if_it_had_not(way: Any, reach: Any):
    server = serve(way.family, polls=2)
    async with reach(server, way) as trunk:
        reply = await trunk.call("fake.build", {"branch": "main"}, timeout=10)
    assert (reply.text, reply.attempts, reply.is_error, reply.task) == ("built", 1, False, None)
    assert count(server, "tools/call") == 1
    assert count(server, "tasks/get") >= 3


@FAMILIES
async def test_a_tool_that_reports_an_error_has_completed(family: str):
    async with trunkline.connect({"ci": serve(family, error="it broke")}) as trunk:
        reply = await trunk.call("ci.build")
    assert (reply.is_error, reply.text) == (True, "it broke")


@FAMILIES
async def test_a_task_that_failed_is_the_servers_error(family: str):
    server = serve(family, rpc_error=(-32601, "no such thing", {"x": 1}))
    async with trunkline.connect({"ci": server}) as trunk:
        error = await failure(trunk.call("ci.build"))
    assert isinstance(error, trunkline.ServerError)
    assert (error.rpc_code, error.rpc_message, error.data) == (-32601, "no such thing", {"x": 1})
    assert (error.delivery, error.task) == ("answered", None)
    assert count(server, "tasks/cancel") == 0


@FAMILIES
async def test_a_task_that_somebody_cancelled_is_told_as_such(family: str):
    server = serve(family, ends="cancelled", message="too late")
    async with trunkline.connect({"ci": server}) as trunk:
        error = await failure(trunk.call("ci.build"))
    assert (error.code, error.delivery, error.task) == ("task_cancelled", "answered", None)
    assert "too late" in str(error)
    assert count(server, "tasks/cancel") == 0


async def test_the_result_of_a_task_is_compared_with_the_output_schema():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    server = serve(returns=Result(content=[], structuredContent={"n": "no"}), output_schema=schema)
    async with trunkline.connect({"ci": server}) as trunk:
        reply = await trunk.call("ci.build")
        picked_up = await (await trunk.task("ci/build/ci-task-1")).wait()
    assert any("output schema" in warning for warning in reply.warnings)
    assert picked_up.warnings == reply.warnings


@FAMILIES
async def test_the_end_of_the_time_asks_for_the_end_of_the_task_and_names_it(family: str):
    server = serve(family, ends="never")
    async with trunkline.connect({"ci": server}) as trunk:
        await trunk.ready()
        started = asyncio.get_running_loop().time()
        error = await failure(trunk.call("ci.build", timeout=0.3))
        assert asyncio.get_running_loop().time() - started < 5.0
        await server.wait_for(lambda ledger: ledger.of("tasks/cancel"))
    assert isinstance(error, trunkline.DeadlineExceededError)
    assert (error.delivery, error.task, error.retryable) == ("unknown", "ci/build/ci-task-1", False)
    assert "ci-task-1" in str(error)
    assert "may still run" in (error.hint or "")
    assert server.tasks["ci-task-1"].cancelled
    assert count(server, "tools/call") == 1


@FAMILIES
async def test_a_caller_that_gives_up_asks_for_the_end_of_the_task(family: str):
    server = serve(family, ends="never")
    async with trunkline.connect({"ci": server}) as trunk:
        waiting = asyncio.create_task(trunk.call("ci.build"))
        await server.wait_for(lambda ledger: ledger.of("tasks/get"))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await waiting
        await server.wait_for(lambda ledger: ledger.of("tasks/cancel"))
        assert (await trunk.call("ci.echo")).text == "echo"
    called = server.calls[0].request_id
    taken_back = [one.params["requestId"] for one in server.ledger.of("notifications/cancelled")]
    assert called not in taken_back
    assert "ci/build/ci-task-1 may still run" in caught.value.__notes__[0]


async def test_closing_the_trunk_asks_for_the_end_of_the_tasks_that_it_started():
    server = serve(ends="never")
    async with trunkline.connect({"ci": server}) as trunk:
        handle = trunk.start("ci.build")
        await server.wait_for(lambda ledger: ledger.of("tasks/get"))
    assert server.tasks["ci-task-1"].cancelled
    error = await failure(handle.result())
    assert error.task == "ci/build/ci-task-1"


@FAMILIES
async def test_a_detached_task_is_found_by_its_handle_on_another_connection(family: str):
    server = serve(family, polls=1, support="optional", poll_ms=0)
    async with trunkline.connect({"ci": server}) as trunk:
        started = await trunk.start_task("ci.build")
        word = str(started)
        assert (started.status, started.done, word) == ("working", False, "ci/build/ci-task-1")
    async with trunkline.connect({"ci": server}) as trunk:
        found = await trunk.task(word)
        assert (found.status, found.task.tool) == ("working", "build")
        assert (await found.wait(10)).text == "built"
        assert (await found.wait()).text == "built"
        assert (await trunk.task("ci-task-1", server="ci")).status == "completed"
        assert (await trunk.task(found.task)).done
        assert str(await trunk.task(found)) == word
    assert count(server, "tools/call") == 1
    assert count(server, "tasks/cancel") == 0


async def test_the_end_of_the_time_of_waiting_for_a_detached_task_leaves_it_alone():
    server = serve(ends="never")
    async with trunkline.connect({"ci": server}) as trunk:
        started = await trunk.start_task("ci.build")
        error = await failure(started.wait(0.2))
        assert isinstance(error, trunkline.DeadlineExceededError)
        assert await started.refresh() == started.task
        await trunk.call("ci.echo")
    assert count(server, "tasks/cancel") == 0


@FAMILIES
async def test_a_detached_task_can_be_cancelled_once(family: str):
    server = serve(family, ends="never")
    async with trunkline.connect({"ci": server}) as trunk:
        started = await trunk.start_task("ci.build")
        await started.cancel()
        assert (await started.refresh()).status == "cancelled"
        assert (await failure(started.wait())).code == "task_cancelled"
        if family == "legacy":
            assert (await failure(started.cancel())).code == "task_not_found"


async def test_a_call_that_is_answered_at_once_is_no_task():
    server = serve()
    async with trunkline.connect({"ci": server}) as trunk:
        started = await trunk.start_task("ci.echo")
        assert (str(started), started.done) == ("", True)
        assert (await started.wait()).text == "echo"
        await started.cancel()
    assert count(server, "tasks/cancel") == 0


async def test_a_task_nobody_knows_is_not_found():
    async with trunkline.connect({"ci": serve()}) as trunk:
        for asked in (trunk.task("ci/build/nothing"), trunk.task("nothing", server="ci")):
            error = await failure(asked)
            assert (error.code, isinstance(error, trunkline.NotFoundError)) == ("task_not_found", True)
        assert (await failure(trunk.task("elsewhere/build/1"))).code == "not_found"
        assert (await failure(trunk.task("nonsense"))).code == "invalid_arguments"


@FAMILIES
async def test_what_a_task_wants_to_know_is_asked_once_and_by_the_same_handlers(family: str):
    server = serve(family, asks=[[NAME], [Ask.roots()]])
    asked: list[Any] = []

    def elicit(question: Any) -> dict[str, Any]:
        asked.append(question)
        return {"action": "accept", "content": {"name": "Ada"}}

    handlers = trunkline.Handlers(elicit=elicit, roots=lambda _: ["file:///work"])
    async with trunkline.connect({"ci": server}, handlers=handlers) as trunk:
        assert (await trunk.call("ci.build", timeout=10)).text == "built"
    assert [(one.server, one.tool) for one in asked] == [("ci", "ci.build")]
    answers = server.tasks["ci-task-1"].answers
    assert answers["name"] == {"action": "accept", "content": {"name": "Ada"}}
    assert answers["roots"]["roots"][0]["uri"] == "file:///work"


async def test_a_key_that_is_asked_again_is_not_answered_again():
    server = serve(asks=[NAME], quirk="repeated_key")
    prompts: list[Any] = []
    handlers = trunkline.Handlers(elicit=lambda one: prompts.append(one) or {"action": "decline"})
    async with trunkline.connect({"ci": server}, handlers=handlers) as trunk:
        await trunk.ready()
        await failure(trunk.call("ci.build", timeout=0.6))
    assert len(prompts) == count(server, "tasks/update") == 1
    assert count(server, "tasks/get") > 2


async def test_an_answer_that_got_lost_is_sent_again_without_asking_again():
    server = serve(asks=[NAME])
    server.fault("tasks/update", Fault.rpc_error(-32603, "not now"), nth=1)
    prompts: list[Any] = []
    handlers = trunkline.Handlers(elicit=lambda one: prompts.append(one) or {"action": "decline"})
    async with trunkline.connect({"ci": server}, handlers=handlers) as trunk:
        assert (await trunk.call("ci.build", timeout=10)).text == "built"
    assert (len(prompts), count(server, "tasks/update")) == (1, 2)


@pytest.mark.parametrize(
    ("limits", "code"), [({"rounds": 3}, "too_many_rounds"), ({"prompts": 3}, "too_many_prompts")]
)
async def test_a_task_that_asks_without_end_is_given_up(limits: dict[str, int], code: str):
    server = serve(asks=[NAME], quirk="new_keys", poll_ms=0)
    handlers = answering(limits=trunkline.HandlerLimits(**limits))
    async with trunkline.connect({"ci": server}, handlers=handlers) as trunk:
        error = await failure(trunk.call("ci.build", timeout=10))
        await server.wait_for(lambda ledger: ledger.of("tasks/cancel"))
    assert (error.code, error.task) == (code, "ci/build/ci-task-1")
    assert count(server, "tasks/update") == 3


async def test_a_form_of_a_task_that_asks_for_a_password_reaches_nobody():
    server = serve(asks=[Ask.form("q", "Log in", {"password": {"type": "string"}})])
    asked: list[Any] = []
    handlers = trunkline.Handlers(elicit=lambda one: asked.append(one) or {"action": "decline"})
    async with trunkline.connect({"ci": server}, handlers=handlers) as trunk:
        await trunk.call("ci.build", timeout=10)
    assert asked == []
    assert server.tasks["ci-task-1"].answers == {"q": {"action": "decline"}}


async def test_a_question_nobody_can_answer_fails_the_call_and_ends_the_task():
    server = serve(asks=[NAME])
    async with trunkline.connect({"ci": server}) as trunk:
        error = await failure(trunk.call("ci.build", timeout=10))
        await server.wait_for(lambda ledger: ledger.of("tasks/cancel"))
    assert error.code == "undeclared_input_request"


@pytest.mark.parametrize("quirk", ["unknown_status", "new_id", "backward", "no_result", "no_id"])
async def test_a_task_that_breaks_the_protocol_is_an_error_that_claims_nothing(quirk: str):
    server = serve(quirk=quirk, polls=int(quirk == "backward"))
    async with trunkline.connect({"ci": server}) as trunk:
        error = await failure(trunk.call("ci.build", timeout=10))
        assert count(server, "tools/call") == 1
        assert (await trunk.call("ci.echo")).text == "echo"
    assert isinstance(error, trunkline.ProtocolError)
    assert (error.code, error.retryable) == ("malformed_answer", False)
    assert error.delivery == ("answered" if quirk == "no_id" else "unknown")


async def test_a_task_in_place_of_anything_but_a_tools_result_is_an_invalid_answer():
    server = serve()
    server.prompt("greet", "hi")
    server.result_type = "task"
    async with trunkline.connect({"ci": server}) as trunk:
        error = await failure(trunk.get_prompt("ci.greet"))
    assert error.code == "malformed_answer"


@pytest.mark.parametrize("code", [-32601, -32602, -32000])
async def test_a_task_that_cannot_be_asked_about_is_of_unknown_outcome(code: int):
    server = serve(ends="never")
    server.fault("tasks/get", Fault.rpc_error(code, "no"))
    async with trunkline.connect({"ci": server}) as trunk:
        error = await failure(trunk.call("ci.build", timeout=10))
    assert (error.code, error.delivery, error.task) == ("task_lost", "unknown", "ci/build/ci-task-1")


async def test_an_internal_error_now_and_then_does_not_end_the_polling():
    server = serve(polls=1)
    server.fault("tasks/get", Fault.rpc_error(-32603, "busy"), nth=1, times=3)
    async with trunkline.connect({"ci": server}) as trunk:
        assert (await trunk.call("ci.build", timeout=10)).text == "built"
    assert count(server, "tools/call") == 1


@FAMILIES
@pytest.mark.parametrize("method", ["tasks/get", "tasks/result"])
async def test_a_server_lost_while_it_is_asked_is_asked_again_when_it_is_back(family: str, method: str):
    server = serve(family, polls=1)
    target = method if family == "legacy" else "tasks/get"
    server.fault(target, Fault.crash_before_reply, nth=1)
    async with trunkline.connect({"ci": server}) as trunk:
        assert (await trunk.call("ci.build", timeout=30)).text == "built"
        assert trunk.status()["ci"].restarts == 1
    assert count(server, "tools/call") == 1


async def test_a_server_that_is_gone_for_good_leaves_a_deadline_and_the_handle():
    server = serve(ends="never")
    async with trunkline.connect({"ci": server}) as trunk:
        waiting = asyncio.create_task(trunk.call("ci.build"))
        await server.wait_for(lambda ledger: ledger.of("tasks/get"))
        await trunk.remove("ci")
        error = await failure(waiting)
    assert (error.code, error.delivery, error.task) == ("task_lost", "unknown", "ci/build/ci-task-1")


async def test_a_legacy_tool_that_may_be_a_task_is_called_as_usual_unless_detached():
    server = serve("legacy", support="optional")
    async with trunkline.connect({"ci": server}) as trunk:
        assert (await trunk.call("ci.build")).text == "built"
        await trunk.call("ci.echo")
        assert not server.tasks
        assert str(await trunk.start_task("ci.build")) == "ci/build/ci-task-1"
        assert str(await trunk.start_task("ci.echo")) == ""
    assert ["task" in call.params for call in server.calls] == [False, False, True, False]


async def test_a_legacy_tool_is_not_called_as_a_task_of_a_server_that_has_none():
    server = FakeServer("ci", eras=["legacy"])
    server.raw_tool(
        {"name": "build", "inputSchema": {"type": "object"}, "execution": {"taskSupport": "required"}}
    )
    async with trunkline.connect({"ci": server}) as trunk:
        await trunk.call("ci.build")
        await trunk.start_task("ci.build")
    assert all("task" not in call.params for call in server.calls)


async def test_the_extension_is_offered_with_every_modern_request_and_to_no_legacy_server():
    wanted = {"io.modelcontextprotocol/tasks": {}}
    modern, legacy = serve("modern"), serve("legacy")
    async with trunkline.connect({"modern": modern, "legacy": legacy}) as trunk:
        await trunk.call("modern.echo")
        await trunk.call("legacy.build")
    key = "io.modelcontextprotocol/clientCapabilities"
    assert [record.meta[key]["extensions"] for record in modern.ledger] == [wanted] * len(modern.ledger)
    (handshake,) = legacy.ledger.of("initialize")
    assert "extensions" not in handshake.params["capabilities"]
    assert all(key not in record.meta for record in legacy.ledger.of("tasks/get"))


async def test_requests_about_a_task_name_it_in_a_header():
    server = serve(polls=1, asks=[NAME])
    async with server.http() as url, trunkline.connect({"ci": {"url": url}}, handlers=answering()) as trunk:
        await trunk.call("ci.build", timeout=10)
        await (await trunk.start_task("ci.build")).cancel()
        await trunk.request("ci", "tasks/get", {"taskId": "ci-task-1"})
    named = {
        (one.method, one.headers.get("mcp-name")) for one in server.ledger if one.method.startswith("tasks/")
    }
    assert named == {
        ("tasks/get", "ci-task-1"),
        ("tasks/update", "ci-task-1"),
        ("tasks/cancel", "ci-task-2"),
    }


async def test_requests_about_a_task_carry_nothing_of_it_in_meta():
    server = serve("legacy", polls=1)
    async with trunkline.connect({"ci": server}) as trunk:
        await trunk.call("ci.build", timeout=10)
    about = [one for one in server.ledger if one.method.startswith("tasks/")]
    assert {one.method for one in about} == {"tasks/get", "tasks/result"}
    assert all(one.meta.keys() <= {"progressToken"} for one in about)
