"""The states of a server and what leads from one to another: a pure table, drawn in the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from trunkline.core.status import State

Trigger = Literal[
    "wanted",
    "due",
    "opened",
    "refused",
    "unusable",
    "silent",
    "answered",
    "lost",
    "exhausted",
    "released",
    "idle",
    "draining",
    "ended",
]

MEANINGS: Mapping[Trigger, str] = {
    "wanted": "a call, or the start of the runtime, asks for a connection",
    "due": "the time of the next attempt has come",
    "opened": "the server is negotiated and its tools are listed",
    "refused": "the attempt failed and a later one may succeed",
    "unusable": "the attempt failed over what only a person can change",
    "silent": "it did not answer a health check while it works on calls",
    "answered": "it answers again",
    "lost": "the connection is lost",
    "exhausted": "an attempt failed or the connection is lost, after too many restarts in too short a time",
    "released": "the connection is lost and is not opened again by itself",
    "idle": "nobody has used the connection for a while, and it need not be kept",
    "draining": "no more calls are taken, or they wait for a restart; those in flight may end",
    "ended": "the server is removed or restarted, or the runtime is closed",
}

STATE_MEANINGS: Mapping[State, str] = {
    "stopped": "not connected, and not tried unless a call wants it",
    "connecting": "being started, negotiated, and asked for its tools",
    "ready": "connected; takes calls",
    "degraded": "connected, without an answer to health checks; takes calls",
    "backoff": "down; tried again soon, or by a call",
    "failed": "down; tried again rarely, or by a call once a while has passed",
    "draining": "takes no more calls; ends, or is started again, when those in flight have ended",
}

_DOWN: Mapping[Trigger, State] = {
    "lost": "backoff",
    "exhausted": "failed",
    "released": "stopped",
    "idle": "stopped",
    "draining": "draining",
    "ended": "stopped",
}

TABLE: Mapping[State, Mapping[Trigger, State]] = {
    "stopped": {"wanted": "connecting", "ended": "stopped"},
    "connecting": {
        "opened": "ready",
        "refused": "backoff",
        "unusable": "failed",
        "exhausted": "failed",
        "ended": "stopped",
    },
    "ready": {"silent": "degraded", **_DOWN},
    "degraded": {"answered": "ready", **_DOWN},
    "backoff": {"wanted": "connecting", "due": "connecting", "ended": "stopped"},
    "failed": {"wanted": "connecting", "due": "connecting", "ended": "stopped"},
    "draining": {"ended": "stopped"},
}
"""To what state each trigger leads; what a state does not name cannot happen in it."""


def after(state: State, trigger: Trigger) -> State:
    """Give the state that follows.

    Raises:
        ValueError: this cannot happen in that state.
    """
    try:
        return TABLE[state][trigger]
    except KeyError:
        raise ValueError(f"{trigger!r} cannot happen to a server that is {state}") from None


def draw_states() -> str:
    """Give the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> stopped"]
    for state, ways in TABLE.items():
        targets: dict[State, list[str]] = {}
        for trigger, target in ways.items():
            if target != state:
                targets.setdefault(target, []).append(trigger)
        lines += [f"    {state} --> {target}: {', '.join(names)}" for target, names in targets.items()]
    return "\n".join(lines)
