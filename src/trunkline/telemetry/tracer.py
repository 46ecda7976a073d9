"""Spans and measurements through the OpenTelemetry API, where the application uses it; else nothing.

OpenTelemetry is imported by the first call that finds it in use, never at start. Until then, and in a
process without it, a call costs one look into `sys.modules`.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import msgspec

from trunkline._version import __version__
from trunkline.core.call import Call
from trunkline.errors import ConfigError
from trunkline.telemetry.attributes import DURATION, DURATION_BUCKETS, Endpoint
from trunkline.telemetry.record import facts_of
from trunkline.telemetry.span import CallSpan

logger = logging.getLogger("trunkline.telemetry")

_SCOPE = "trunkline"
_LOOK_AGAIN = 0.1
"""Seconds between two looks for a provider, while there is none: a look costs some microseconds."""


class Tracing(msgspec.Struct, frozen=True, kw_only=True):
    """How calls are traced, for `connect(tracing=...)`."""

    content: bool = False
    """Whether spans carry arguments and results. Off, because they may hold anything a person said."""
    tracer_provider: Any = None
    """An OpenTelemetry tracer provider; None takes the one of the process."""
    meter_provider: Any = None
    """An OpenTelemetry meter provider; None takes the one of the process."""


class Tracer:
    """Begins the span of each call of one runtime.

    Args:
        tracing: settings; True asks for tracing wherever OpenTelemetry is installed, and None leaves it to
            whether the application uses it.
        endpoint: says where a server's calls go; asked only for calls that are traced.
        clean: removes secrets from captured content.
        environ: the environment; a variable such as `OTEL_SERVICE_NAME` in it asks for tracing too.

    Raises:
        ConfigError: tracing is asked for by argument, and OpenTelemetry is not installed.
    """

    def __init__(
        self,
        tracing: Tracing | bool | None,
        endpoint: Callable[[str], Endpoint],
        clean: Callable[[str], str],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        settings = tracing if isinstance(tracing, Tracing) else None
        if tracing and find_spec("opentelemetry") is None:
            raise ConfigError(
                "tracing is asked for, and OpenTelemetry is not installed",
                field="tracing",
                hint='Run `pip install "trunkline[telemetry]"`, or leave `tracing` out.',
            )
        self.forced = bool(tracing) or any(name.startswith("OTEL_") for name in environ)
        """Whether calls are traced although nobody has imported OpenTelemetry yet."""
        self._settings = settings or Tracing()
        self._endpoint = endpoint
        self._clean = clean if self._settings.content else None
        self._instruments: _Instruments | None = None
        self._idle_until = -math.inf

    def __repr__(self) -> str:
        return f"Tracer(content={self._clean is not None})"

    def begin(self, call: Call) -> CallSpan | None:
        """Begin the span of a call and make it current; None when nobody would receive it.

        A provider that is set up later is noticed within `_LOOK_AGAIN`. Never raises: what the
        application has plugged into OpenTelemetry must not fail the call.
        """
        if call.flight.started < self._idle_until:
            return None
        try:
            made = self._instruments
            if made is None:
                made = self._instruments = _Instruments(self._settings)
            if made.wanted():
                return CallSpan(made, call, self._endpoint, self._clean)
            self._idle_until = call.flight.started + _LOOK_AGAIN
        except ImportError:
            self.forced = False
        except Exception:  # boundary: providers and processors are foreign code
            logger.warning("the span of a call could not be begun", exc_info=True, extra=facts_of(call))
        return None


class _Instruments:
    """The parts of the OpenTelemetry API in use, the tracer, and the histogram."""

    def __init__(self, settings: Tracing) -> None:
        self.trace: Any = import_module("opentelemetry.trace")
        self.propagate: Any = import_module("opentelemetry.propagate")
        self.context: Any = import_module("opentelemetry.context")
        self._metrics: Any = import_module("opentelemetry.metrics")
        self._settings = settings
        self.tracer = self.trace.get_tracer(_SCOPE, __version__, settings.tracer_provider)
        meter = self._metrics.get_meter(_SCOPE, __version__, settings.meter_provider)
        self.duration = meter.create_histogram(
            DURATION,
            unit="s",
            description="How long MCP requests take, as the client sees it",
            explicit_bucket_boundaries_advisory=DURATION_BUCKETS,
        )

    def wanted(self) -> bool:
        """Whether a real provider is in use; the API's own ones are placeholders that drop everything."""
        spans = self._settings.tracer_provider or self.trace.get_tracer_provider()
        if not _is_placeholder(spans):
            return True
        return not _is_placeholder(self._settings.meter_provider or self._metrics.get_meter_provider())


def _is_placeholder(provider: Any) -> bool:
    return type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))
