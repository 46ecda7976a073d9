"""Codes of runtimes that are asked from outside, of leases, and of limits of processes."""

from __future__ import annotations

from trunkline.runtime.diagnostics.diagnostic import Diagnostic

DIAGNOSTICS = (
    Diagnostic(
        code="no_capable_replica",
        title="No replica has all that a call needs",
        causes=(
            "`needs` of its route asks for a mark, a capability or a version that none of them has.",
            "The replicas that have it were removed from the configuration.",
        ),
        fix="Mark a replica with `tags`, or ask for less in `needs` of the route.",
        command="trunkline status SERVER",
        example="db.train: no replica has all that this call needs: tag:gpu",
    ),
    Diagnostic(
        code="no_runtime",
        title="No runtime runs that could be asked",
        causes=(
            "Nothing was started with this configuration.",
            "The program does not open a control socket.",
        ),
        fix="Start one that keeps running; a program has one with `connect(..., control=True)`.",
        command="trunkline up",
        example="no runtime runs",
    ),
    Diagnostic(
        code="runtime_lost",
        title="A runtime ended, or fell silent, while it was asked",
        causes=("Its process ended.", "Its process is frozen, or too busy to answer."),
        fix="Look whether it still runs, and ask again.",
        command="trunkline status --all",
        example="the runtime of process 4711 has ended",
    ),
    Diagnostic(
        code="other_version",
        title="A runtime of another version of Trunkline cannot be asked",
        causes=("Trunkline was updated while the runtime was running.",),
        fix="End it with the program that started it, or with `trunkline down`, and start it again.",
        command="trunkline down",
        example="`trunkline up`, process 4711 (Trunkline 0.1.0) cannot be asked",
    ),
    Diagnostic(
        code="no_such_call",
        title="The journal holds no call of this id",
        causes=("It is too long ago: the journal is bounded.", "Another runtime made the call."),
        fix="Ask the runtime that made the call, soon after it.",
        command="trunkline why SERVER",
        example="there is no call of this id in the journal",
    ),
    Diagnostic(
        code="lease_lost",
        title="The connection that was leased is gone, and all that it held with it",
        causes=("The server ended, or forgot its session.", "The server was removed, changed or restarted."),
        fix="Begin anew with another lease: a new connection knows nothing of what was done on this one.",
        example="browser.click: the lease is lost: its process exited with code 1",
    ),
    Diagnostic(
        code="lease_ended",
        title="A call was made on a lease that has ended",
        causes=("The call stands behind the `async with` block.",),
        fix="Make calls inside `async with trunk.lease(...)`.",
        example="the lease has ended",
    ),
    Diagnostic(
        code="lease_timeout",
        title="No connection became free for a lease in time",
        causes=("Others hold all connections the server may have.",),
        fix="Allow more time, or more connections: `pool = { max = 4 }` of the server.",
        example="no connection to lease within 30 s",
    ),
    Diagnostic(
        code="limit_exceeded",
        title="A server was ended because it took more of the machine than it may",
        causes=("It needs more than its limit allows.", "It leaks memory, or runs wild."),
        fix='Raise the limit that the message names, in `[servers."name".process]`, or look into the server.',
        command="trunkline logs SERVER",
        example="its processes held 600 MB of memory, and `process.memory` allows 512 MB",
    ),
)
