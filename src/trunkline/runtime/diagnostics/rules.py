"""Codes of policy and of the program itself."""

from __future__ import annotations

from trunkline.runtime.diagnostics.diagnostic import Diagnostic

DIAGNOSTICS = (
    Diagnostic(
        code="denied",
        title="Policy, or a person who was asked, does not allow this",
        causes=("`--read-only` is given, and the server does not call the tool read-only.",),
        fix="See what is in force, and where it is written:",
        command="trunkline config explain SERVER.TOOL",
        example="refused by --read-only: its server does not call it read-only",
    ),
    Diagnostic(
        code="usage_error",
        title="The command line cannot be understood; nothing was started",
        causes=("An option is misspelled, or excludes another one.",),
        fix="See how it is written:",
        command="trunkline COMMAND --help",
        example="--config and --http exclude each other",
    ),
    Diagnostic(
        code="interrupted",
        title="Ctrl-C, a signal or the end of the terminal stopped the command",
        causes=("Somebody pressed Ctrl-C.",),
        fix="What was sent may have run: check its effect before calling again.",
        example="interrupted",
    ),
    Diagnostic(
        code="background_process",
        title="The background process of `trunkline up` could not be started, or did not end",
        causes=("A folder cannot be written to.", "Another process holds its socket."),
        fix="The message says why. Its log stands beside its socket:",
        command="trunkline up",
        example="the background process ended before it was ready",
    ),
    Diagnostic(
        code="internal_error",
        title="A defect of Trunkline",
        causes=("This should not happen, whatever a server or a person does.",),
        fix="Report it with the traceback, which `-v` shows.",
        command="trunkline -v COMMAND",
        example="internal error: KeyError: 'x'",
    ),
    Diagnostic(
        code="workflow_error",
        title="The definition or the run of a workflow failed",
        causes=("The message names the step.",),
        fix="Correct the step, or run it again.",
        example="a workflow failed",
    ),
    Diagnostic(
        code="agent_error",
        title="A model or an assistant failed",
        causes=("The message says what the model's provider answered.",),
        fix="Check its key and its name.",
        example="a model failed",
    ),
)
