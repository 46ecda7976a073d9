"""What every code means: of each error and of each thing `trunkline doctor` finds, in words for people.

Imported only where somebody asks. The pages in `docs/diagnostics` are written from it.
"""

from __future__ import annotations

from trunkline.runtime.diagnostics import (
    calling,
    guards,
    network,
    questions,
    rules,
    runtimes,
    speaking,
    starting,
    tasks,
)
from trunkline.runtime.diagnostics.diagnostic import Diagnostic

DIAGNOSTICS: dict[str, Diagnostic] = {
    one.code: one
    for module in (starting, network, speaking, calling, guards, rules, tasks, questions, runtimes)
    for one in module.DIAGNOSTICS
}
"""Every diagnostic by its code, in the order in which a server is examined."""

__all__ = ["DIAGNOSTICS", "Diagnostic"]
