"""Simulations run on virtual time, so minutes pass in milliseconds and always in the same order."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.testing.virtual_time import VirtualTimeLoop


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}
