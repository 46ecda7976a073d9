"""When OpenTelemetry is used at all: seen from fresh processes, since what is imported stays imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import asyncio, json, sys
import trunkline
from trunkline.testing import FakeServer

{before}
server = FakeServer("fake")
server.tool("echo", reports="arguments")

async def main():
    async with trunkline.connect({{"fake": server}}{options}) as trunk:
        await trunk.ready()
        early = "opentelemetry" in sys.modules
        await trunk.call("fake.echo")
        {between}
        await trunk.call("fake.echo")
        {after}
        traced = ["traceparent" in call.meta for call in server.calls]
        return {{"early": early, "loaded": "opentelemetry" in sys.modules, "traced": traced}}

print(json.dumps(asyncio.run(main())))
"""
CONFIGURE = (
    "from opentelemetry import trace; from opentelemetry.sdk.trace import TracerProvider; "
    "trace.set_tracer_provider(TracerProvider())"
)
MEASURE = (
    "from opentelemetry import metrics; from opentelemetry.sdk.metrics import MeterProvider; "
    "from opentelemetry.sdk.metrics.export import InMemoryMetricReader; reader = InMemoryMetricReader(); "
    "metrics.set_meter_provider(MeterProvider([reader]))"
)
HIDE = "sys.modules['opentelemetry'] = None\n"


def run(
    before: str = "", options: str = "", between: str = "pass", after: str = "pass", **environ: str
) -> Any:
    program = PROGRAM.format(before=before, options=options, between=between, after=after)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean | {"PYTHONPATH": source} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_process_that_does_not_use_opentelemetry_never_imports_it() -> None:
    assert run() == {"early": False, "loaded": False, "traced": [False, False]}


def test_calls_are_traced_where_the_application_has_set_up_the_sdk() -> None:
    assert run(before=CONFIGURE)["traced"] == [True, True]


@pytest.mark.parametrize("before", ["", "import opentelemetry.trace"])
def test_an_sdk_that_is_set_up_later_is_noticed(before: str) -> None:
    again = "while 'traceparent' not in server.calls[-1].meta: await trunk.call('fake.echo')"
    traced = run(before=before, between=CONFIGURE, after=again)["traced"]
    assert (traced[0], traced[-1]) == (False, True)


def test_the_api_without_a_provider_traces_nothing() -> None:
    found = run(before="import opentelemetry.trace")
    assert found == {"early": True, "loaded": True, "traced": [False, False]}


def test_asking_for_tracing_imports_opentelemetry_with_the_first_call_and_not_before() -> None:
    assert run(options=", tracing=True") == {"early": False, "loaded": True, "traced": [False, False]}


def test_a_variable_of_opentelemetry_asks_for_tracing_too() -> None:
    found = run(OTEL_PYTHON_TRACER_PROVIDER="sdk_tracer_provider")
    assert found == {"early": False, "loaded": True, "traced": [True, True]}


def test_tracing_can_be_refused() -> None:
    assert run(before=CONFIGURE, options=", tracing=False")["traced"] == [False, False]


def test_a_meter_provider_alone_gets_measurements() -> None:
    check = "assert 'mcp.client.operation.duration' in reader.get_metrics_data().to_json()"
    assert run(before=MEASURE, after=check)["traced"] == [False, False]


@pytest.mark.parametrize("environ", [{}, {"OTEL_SERVICE_NAME": "app"}])
def test_a_process_without_opentelemetry_installed_works(environ: dict[str, str]) -> None:
    assert run(before=HIDE, **environ)["traced"] == [False, False]


def test_asking_for_tracing_where_opentelemetry_is_not_installed_is_refused_by_name() -> None:
    refused = (
        "try:\n"
        "    asyncio.run(trunkline.connect({}, tracing=True).__aenter__())\n"
        "except trunkline.ConfigError as error:\n"
        "    assert error.field == 'tracing' and 'trunkline[telemetry]' in error.hint\n"
        "else:\n"
        "    raise AssertionError('not refused')\n"
    )
    run(before=HIDE + refused)
