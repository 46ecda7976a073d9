"""Codes of configuration, of commands and of processes."""

from __future__ import annotations

from trunkline.runtime.diagnostics.diagnostic import Diagnostic

DIAGNOSTICS = (
    Diagnostic(
        code="config_error",
        title="A file, an entry or an argument cannot be used",
        causes=(
            "An environment variable that the entry refers to is not set where Trunkline runs.",
            "A key is misspelled, or its value has the wrong type.",
            "A file or folder that is named does not exist.",
        ),
        fix="The message names file, line, server and field. Every mistake of all files is listed at once:",
        command="trunkline config check",
        example="mcp.json:4:20, server 'far', field 'env.TOKEN': the environment variable TOKEN is not set",
    ),
    Diagnostic(
        code="config_warning",
        title="The entry works, and something about it is unsafe or probably not meant",
        causes=(
            "A package runner is told to run the latest version, so that other code may run tomorrow.",
            "A credential is sent without encryption, or a certificate is not verified.",
            "A key is unknown and not read.",
        ),
        fix="Do what the hint says, or leave it if it is meant. All warnings are listed at once:",
        command="trunkline config check",
        example="args[0]: some-server@latest runs whatever was published last, unseen",
    ),
    Diagnostic(
        code="command_not_found",
        title="The program of a server was not found",
        causes=(
            "The program is not installed.",
            "It is installed in a folder that is not on the PATH which the server gets.",
            "The name is misspelled.",
        ),
        fix="Install it, or give its full path as `command`. A `PATH` in `env` of the entry replaces yours.",
        command="command -v PROGRAM",
        example="the command 'uvx' was not found",
    ),
    Diagnostic(
        code="command_not_executable",
        title="The file that a server's entry names exists and is not executable",
        causes=("The file is a script that was never made executable.", "The entry names the wrong file."),
        fix="Make it executable, or name its interpreter as `command` and the file in `args`.",
        command="chmod +x FILE",
        example="the file './server.py' is not executable",
    ),
    Diagnostic(
        code="interpreter_not_found",
        title="The first line of a script names an interpreter that is not there",
        causes=(
            "The runtime that the script needs, such as Node, is not installed.",
            "It is installed and not on the PATH which the server gets.",
            "The virtual environment that the script belongs to was moved or removed.",
        ),
        fix="Install the interpreter, or correct the first line of the script.",
        command="head -n 1 FILE",
        example="/usr/local/bin/npx is a script for 'node', which was not found",
    ),
    Diagnostic(
        code="missing_directory",
        title="The working directory of a server does not exist",
        causes=("The project was moved or renamed.", "A relative `cwd` starts at the folder of its file."),
        fix="Create the directory, or correct `cwd`.",
        command="mkdir -p DIRECTORY",
        example="the working directory '/srv/data' does not exist",
    ),
    Diagnostic(
        code="start_failed",
        title="A server could not be started, or was lost before it was ready",
        causes=(
            "Its process ended while it started, because an argument, a variable or a package is missing.",
            "The file is made for another system or processor.",
            "The machine has no memory or processes left.",
        ),
        fix="Find out in which phase it fails:",
        command="trunkline doctor SERVER",
        example="it could not be started (negotiating the protocol): the connection was lost before the"
        " answer (its process exited with code 1)",
    ),
    Diagnostic(
        code="process_exited",
        title="The process of a server ended by itself before it had answered",
        causes=(
            "An argument, a variable or a package that it needs is missing; its last words say which.",
            "It is no MCP server, or needs an argument to be one, such as `stdio` or `serve`.",
            "The package that its runner was to download does not exist or could not be downloaded.",
        ),
        fix="Run its command by hand, in its folder, and read what it says.",
        command="COMMAND ARGUMENTS </dev/null",
        example="its process exited with code 1",
    ),
    Diagnostic(
        code="process_killed",
        title="The process of a server was ended by a signal before it had answered",
        causes=(
            "SIGKILL: the system ran out of memory, or a limit was reached.",
            "SIGSEGV, SIGABRT or SIGILL: the program itself broke, or is made for another processor.",
            "SIGTERM: something else on this machine ended it.",
        ),
        fix="Run its command by hand; after SIGKILL look at the log of the kernel.",
        command="journalctl -k --since -10min",
        example="its process was ended by SIGKILL",
    ),
    Diagnostic(
        code="streams_closed",
        title="The process of a server runs on and has closed its standard output",
        causes=(
            "It is a server of its own port that detaches from the terminal, and not one over stdio.",
            "A wrapper started the real server in the background and left.",
        ),
        fix="Start it with the argument for stdio, or configure its `url`.",
        command="COMMAND --help",
        example="it closed its standard streams",
    ),
    Diagnostic(
        code="no_answer",
        title="The process of a server runs and answers nothing",
        causes=(
            "It waits for something else: a download, a database, a question at the terminal.",
            "It is no MCP server over stdio; many need an argument such as `stdio`.",
            "It buffers its standard output.",
        ),
        fix="Run its command by hand to see what it waits for, or raise `connect` in trunkline.toml.",
        command="COMMAND ARGUMENTS </dev/null",
        example="its process runs and has answered nothing within 30 s",
    ),
    Diagnostic(
        code="stdout_noise",
        title="A server writes to its standard output what is no message",
        causes=(
            "It logs to standard output, which belongs to the protocol.",
            "A package runner or a shell start-up file prints a greeting.",
        ),
        fix="Trunkline skips it. Have the server log to standard error: other clients may break.",
        example="1 line on its standard output is no message, such as 'Starting server...'",
    ),
    Diagnostic(
        code="slow_start",
        title="A server took more than half of the time it has to become ready",
        causes=(
            "A package runner downloads it at each start.",
            "It loads much, or waits for something slow.",
        ),
        fix="Install it once and name the installed program, or raise `connect` in trunkline.toml.",
        example="it took 17.2 s of the 30 s it has to become ready",
    ),
    Diagnostic(
        code="connect_timeout",
        title="A server did not become ready in its time",
        causes=(
            "A package runner is still downloading it.",
            "Something on the way swallows what is sent.",
            "It runs and answers nothing.",
        ),
        fix="Find out in which phase it hangs, or raise `connect` in trunkline.toml:",
        command="trunkline doctor SERVER",
        example="it did not become ready within 30 s (negotiating the protocol)",
    ),
    Diagnostic(
        code="negotiation_timeout",
        title="A server answers, and does not finish to agree on a revision",
        causes=(
            "It hangs over `initialize`, or waits for something before it answers it.",
            "It takes one client at a time, and has one.",
        ),
        fix="Look at the server and its log; raise `connect` in trunkline.toml if it is only slow.",
        command="trunkline doctor SERVER --wire -",
        example="it has not finished the negotiation within 30 s",
    ),
    Diagnostic(
        code="restarts_exhausted",
        title="A server was lost too often in too short a time, and is tried rarely now",
        causes=("It ends soon after each start.", "Two programs fight over a port or a lock."),
        fix="The message ends with the last reason. Mend that; the next call after it tries at once:",
        command="trunkline doctor SERVER",
        example="it was started again 5 times in 30 s; the last time: the server was lost: its process exited"
        " with code 1",
    ),
    Diagnostic(
        code="internal",
        title="Trunkline, or a part that the application gave it, failed",
        causes=("A defect of Trunkline.", "A defect of a transport, a clock or a handler that was injected."),
        fix="Report it with the traceback, which the log shows:",
        command="trunkline -v status",
        example="an internal error: KeyError: 'x'",
    ),
)
