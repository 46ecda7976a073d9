"""The capabilities that follow from the handlers an application gives, in each family."""

from __future__ import annotations

from typing import Any

from trunkline.core.handlers import Handlers
from trunkline.protocol.eras import Family
from trunkline.protocol.tasks import EXTENSION


def declare(handlers: Handlers, family: Family) -> dict[str, Any]:
    """Give the client capabilities to declare; older revisions ignore the members they do not know.

    Sources: specification 2025-11-25 and 2026-07-28, client/elicitation, client/sampling, client/roots;
    the latter has no notification that roots have changed. Tasks are an extension of the latter alone.
    """
    declared: dict[str, Any] = {}
    if handlers.elicit is not None and handlers.elicit_modes:
        declared["elicitation"] = {mode: {} for mode in handlers.elicit_modes}
    if handlers.sample is not None:
        declared["sampling"] = {"tools": {}} if handlers.sample_tools else {}
    if handlers.roots is not None:
        declared["roots"] = {"listChanged": True} if family == "legacy" else {}
    if family == "modern":
        declared["extensions"] = {EXTENSION: {}}
    return declared
