"""What the OpenTelemetry SDK receives of calls: spans and measurements, read back from its own exporters."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

import trunkline
from trunkline.errors import (
    DeadlineExceededError,
    InvalidArgumentsError,
    NotFoundError,
    ServerError,
    UnavailableError,
)
from trunkline.telemetry import Tracing
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

SECRET = "canary-3f9a17"
BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)


class Telescope:
    """An OpenTelemetry SDK with exporters that keep what they get."""

    def __init__(self, **provider: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.provider = TracerProvider(shutdown_on_exit=False, **provider)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.tracing = Tracing(tracer_provider=self.provider, meter_provider=self.meters)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span

    @property
    def points(self) -> list[Any]:
        data = self._reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
        return [
            (metric, point)
            for scope in scopes
            for metric in scope.metrics
            for point in metric.data.data_points
        ]

    def close(self) -> None:
        self.provider.shutdown()
        self.meters.shutdown()


@pytest.fixture
def telescope() -> Iterator[Telescope]:
    telescope = Telescope()
    yield telescope
    telescope.close()


@pytest.fixture
def server() -> FakeServer:
    server = FakeServer("fake", eras=["legacy"])
    server.tool("echo", reports="arguments")
    server.tool("sad", error="no such file: canary-3f9a17")
    server.tool("rude", rpc_error=(-32050, "canary-3f9a17 is not welcome"))
    server.tool("slow", delay=30)
    server.tool("strict", schema={"type": "object", "required": ["n"]})
    return server


async def test_a_call_is_one_client_span_with_the_attributes_of_the_convention(
    telescope: Telescope, server: FakeServer
) -> None:
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        await trunk.call("fake.echo", {"n": 1})
    span = telescope.span
    assert span.name == "tools/call echo"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert span.instrumentation_scope.name == "trunkline"
    assert dict(span.attributes) == {
        "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "echo",
        "gen_ai.operation.name": "execute_tool",
        "jsonrpc.request.id": str(server.calls[0].request_id),
        "mcp.protocol.version": "2025-11-25",
    }


@pytest.mark.parametrize("json", [True, False])
async def test_a_call_over_http_names_address_port_and_protocol(
    telescope: Telescope, server: FakeServer, json: bool
) -> None:
    async with (
        server.http(json=json) as url,
        trunkline.connect({"web": {"url": url}}, tracing=telescope.tracing) as trunk,
    ):
        await trunk.call("web.echo", {})
    attributes = telescope.span.attributes
    assert attributes["network.transport"] == "tcp"
    assert attributes["network.protocol.name"] == "http"
    assert attributes["server.address"] == "127.0.0.1"
    assert attributes["server.port"] == int(url.split(":")[2].split("/")[0])


async def test_a_call_over_stdio_goes_through_a_pipe(
    telescope: Telescope, server: FakeServer, tmp_path: Any
) -> None:
    entry = server.to_stdio_entry(tmp_path)
    async with trunkline.connect({"fake": entry}, tracing=telescope.tracing) as trunk:
        await trunk.call("fake.echo", {})
    assert telescope.span.attributes["network.transport"] == "pipe"
    assert "server.address" not in telescope.span.attributes


async def test_the_error_of_a_tool_makes_the_span_one_of_an_error(
    telescope: Telescope, server: FakeServer
) -> None:
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        assert (await trunk.call("fake.sad")).is_error
    assert telescope.span.attributes["error.type"] == "tool_error"
    assert telescope.span.status.status_code is StatusCode.ERROR


async def test_a_json_rpc_error_gives_its_code_twice(telescope: Telescope, server: FakeServer) -> None:
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        with pytest.raises(ServerError):
            await trunk.call("fake.rude")
    assert telescope.span.attributes["error.type"] == "-32050"
    assert telescope.span.attributes["rpc.response.status_code"] == "-32050"
    assert telescope.span.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize(
    ("tool", "error"),
    [
        ("fake.strict", InvalidArgumentsError),
        ("fake.missing", NotFoundError),
        ("fake.slow", DeadlineExceededError),
    ],
)
async def test_any_other_failure_is_told_by_the_class_of_its_exception(
    telescope: Telescope, server: FakeServer, tool: str, error: type[Exception]
) -> None:
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        await trunk.ready()
        with pytest.raises(error):
            await trunk.call(tool, {}, timeout=0.05 if tool == "fake.slow" else None)
    assert telescope.span.attributes["error.type"] == error.__name__
    assert telescope.span.status.status_code is StatusCode.ERROR


async def test_a_call_to_a_server_that_cannot_start_has_a_span_without_a_request(
    telescope: Telescope,
) -> None:
    async with trunkline.connect(
        {"gone": {"command": "no-such-program"}}, tracing=telescope.tracing
    ) as trunk:
        with pytest.raises(UnavailableError):
            await trunk.call("gone.echo")
    assert "jsonrpc.request.id" not in telescope.span.attributes
    assert telescope.span.attributes["error.type"] == "UnavailableError"


async def test_a_cancelled_call_ends_its_span(telescope: Telescope, server: FakeServer) -> None:
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        task = asyncio.create_task(trunk.call("fake.slow"))
        await server.wait_for(lambda ledger: len(ledger.calls) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert telescope.span.attributes["error.type"] == "CancelledError"


async def test_each_call_is_measured_in_the_buckets_of_the_convention(
    telescope: Telescope, server: FakeServer
) -> None:
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        await trunk.call("fake.echo")
        await trunk.call("fake.echo")
        await trunk.call("fake.sad")
    points = {point.attributes.get("error.type"): (metric, point) for metric, point in telescope.points}
    metric, good = points[None]
    assert (metric.name, metric.unit) == ("mcp.client.operation.duration", "s")
    assert good.explicit_bounds == BUCKETS
    assert good.count == 2
    assert good.attributes["gen_ai.tool.name"] == "echo"
    assert "jsonrpc.request.id" not in good.attributes
    assert points["tool_error"][1].count == 1


async def test_calls_are_measured_though_nothing_samples_them(server: FakeServer) -> None:
    telescope = Telescope(sampler=ALWAYS_OFF)
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        await trunk.call("fake.echo")
    assert telescope.spans == []
    assert [point.count for _, point in telescope.points] == [1]
    telescope.close()


@pytest.mark.parametrize("eras", [["legacy"], ["modern"]])
async def test_the_server_can_continue_the_trace(telescope: Telescope, eras: Any) -> None:
    server = FakeServer("fake", eras=eras)
    server.tool("echo", reports="arguments")
    token = otel_context.attach(baggage.set_baggage("team", "blue"))
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        await trunk.call("fake.echo", {"n": 1})
    otel_context.detach(token)
    context = telescope.span.get_span_context()
    meta = server.calls[0].meta
    flags = f"{context.trace_flags:02x}"
    assert meta["traceparent"] == f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags}"
    assert meta["baggage"] == "team=blue"
    assert meta["progressToken"] == server.calls[0].request_id
    assert server.calls[0].arguments == {"n": 1}


@pytest.mark.parametrize("tracing", [False, None])
async def test_nothing_is_injected_where_there_is_no_recording_span(
    telescope: Telescope, server: FakeServer, tracing: bool | None
) -> None:
    with telescope.provider.get_tracer("app").start_as_current_span("outer"):
        async with trunkline.connect({"fake": server}, tracing=tracing) as trunk:
            await trunk.call("fake.echo")
    unsampled = Telescope(sampler=ALWAYS_OFF)
    async with trunkline.connect({"fake": server}, tracing=unsampled.tracing) as trunk:
        await trunk.call("fake.echo")
    assert [set(call.meta) for call in server.calls] == [{"progressToken"}, {"progressToken"}]
    unsampled.close()


async def test_the_span_is_a_child_of_the_applications_and_gives_way_to_it_afterwards(
    telescope: Telescope, server: FakeServer
) -> None:
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        with telescope.provider.get_tracer("app").start_as_current_span("question") as outer:
            await trunk.call("fake.echo")
            with pytest.raises(ServerError):
                await trunk.call("fake.rude")
            assert trace.get_current_span() is outer
    first, second, last = telescope.spans
    assert last.name == "question"
    assert {first.parent.span_id, second.parent.span_id} == {last.context.span_id}


async def test_parallel_calls_have_spans_of_their_own(telescope: Telescope, server: FakeServer) -> None:
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        await trunk.call_many([("fake.echo", {"n": number}) for number in range(20)])
    sent = {call.meta["traceparent"].split("-")[2] for call in server.calls}
    assert sent == {f"{span.context.span_id:016x}" for span in telescope.spans}
    assert len(sent) == 20


async def test_a_span_that_executes_the_tool_is_completed_and_no_second_one_made(
    telescope: Telescope, server: FakeServer
) -> None:
    facts = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "fake__rude"}
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        with telescope.provider.get_tracer("agent").start_as_current_span("execute_tool", attributes=facts):
            with pytest.raises(ServerError):
                await trunk.call("fake.rude")
            assert telescope.spans == []
    span = telescope.span
    assert span.name == "execute_tool"
    assert span.attributes["mcp.method.name"] == "tools/call"
    assert span.attributes["mcp.protocol.version"] == "2025-11-25"
    assert span.attributes["error.type"] == "-32050"
    assert server.calls[0].meta["traceparent"].split("-")[2] == f"{span.context.span_id:016x}"


async def test_a_second_call_within_one_execution_has_a_span_of_its_own(
    telescope: Telescope, server: FakeServer
) -> None:
    facts = {"gen_ai.operation.name": "execute_tool"}
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        with telescope.provider.get_tracer("agent").start_as_current_span("run_code", attributes=facts):
            await trunk.call("fake.echo")
            await trunk.call("fake.sad")
    assert [span.name for span in telescope.spans] == ["tools/call sad", "run_code"]


async def test_a_span_of_another_operation_gets_a_child(telescope: Telescope, server: FakeServer) -> None:
    facts = {"gen_ai.operation.name": "invoke_agent"}
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        with telescope.provider.get_tracer("agent").start_as_current_span("invoke_agent", attributes=facts):
            await trunk.call("fake.echo")
    assert [span.name for span in telescope.spans] == ["tools/call echo", "invoke_agent"]


async def test_no_argument_result_error_text_or_header_is_in_a_span(
    telescope: Telescope, server: FakeServer
) -> None:
    server.fault("echo", Fault.rpc_error(-32000, SECRET), nth=2)
    async with server.http() as url:
        entry = {"url": f"{url}?key={SECRET}", "headers": {"Authorization": f"Bearer {SECRET}"}}
        async with trunkline.connect({"web": entry}, tracing=telescope.tracing) as trunk:
            await trunk.call("web.echo", {"password": SECRET})
            with pytest.raises(ServerError):
                await trunk.call("web.echo", {"password": SECRET})
            await trunk.call("web.sad", {})
            with pytest.raises(InvalidArgumentsError):
                await trunk.call("web.strict", {"m": SECRET})
    assert len(telescope.spans) == 4
    assert SECRET not in "".join(span.to_json() for span in telescope.spans)
    assert SECRET not in str(telescope.points)


async def test_content_is_captured_only_when_asked_for_and_without_known_secrets(
    telescope: Telescope, server: FakeServer
) -> None:
    tracing = msgspec.structs.replace(telescope.tracing, content=True)
    async with server.http() as url:
        entry = {"url": url, "headers": {"X-Key": SECRET}}
        async with trunkline.connect({"web": entry}, tracing=tracing) as trunk:
            await trunk.call("web.echo", {"question": "how?", "key": SECRET})
    attributes = telescope.span.attributes
    assert attributes["gen_ai.tool.call.arguments"] == '{"question": "how?", "key": "[redacted]"}'
    assert "how?" in attributes["gen_ai.tool.call.result"]
    assert SECRET not in telescope.span.to_json()


async def test_what_the_application_plugged_in_cannot_fail_a_call(
    telescope: Telescope, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(SpanProcessor):
        def on_start(self, *_: Any) -> None:
            raise RuntimeError("on_start")

        def on_end(self, *_: Any) -> None:
            raise RuntimeError("on_end")

    telescope.provider.add_span_processor(Failing())
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        assert not (await trunk.call("fake.echo", {"n": 1})).is_error
    assert "the span of a call could not be" in caplog.text


async def test_log_records_of_a_call_name_its_trace(
    telescope: Telescope, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "trunkline.call")
    async with trunkline.connect({"fake": server}, tracing=telescope.tracing) as trunk:
        await trunk.call("fake.echo")
    (record,) = caplog.records
    assert record.__dict__["trace_id"] == f"{telescope.span.context.trace_id:032x}"
    assert record.__dict__["server"] == "fake"
    assert record.__dict__["tool"] == "fake.echo"
    assert record.__dict__["call_id"]
