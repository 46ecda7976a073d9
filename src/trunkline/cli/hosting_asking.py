"""Asking at the terminal for the values a server file leaves open as `${input:id}`.

The question goes to standard error, since standard output holds results only.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trunkline.cli.render import line

if TYPE_CHECKING:
    from trunkline.config.inputs import InputSpec
    from trunkline.config.loading import Config

_TRIES = 3


def answered(config: Config) -> Config:
    """Ask for what the entries leave open, if a person is there to answer."""
    from trunkline.cli.logs import hide_secrets
    from trunkline.config.loading import answer_inputs

    if not is_person_there():
        return config
    complete = answer_inputs(config, ask)
    hide_secrets(secret for entry in complete.entries for secret in getattr(entry, "secrets", ()))
    return complete


def is_person_there() -> bool:
    """Whether a person can read a question and answer it; a stream may be missing or closed."""
    try:
        return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
    except ValueError:
        return False


def ask(spec: InputSpec) -> str | None:
    """Ask for one value; an empty answer takes the default, the end of input gives None."""
    with _interruptible():
        try:
            return _choose(spec) if spec.kind == "pickString" and spec.options else _type(spec)
        except EOFError:
            print(file=sys.stderr)
            return None


def _type(spec: InputSpec) -> str:
    default = "" if spec.default is None or spec.password else f" [{line(spec.default)}]"
    prompt = f"{_question(spec)}{default}: "
    if spec.password:
        from getpass import getpass

        typed = getpass(prompt, stream=sys.stderr)
    else:
        typed = _read_line(prompt)
    return typed or spec.default or ""


def _choose(spec: InputSpec) -> str | None:
    print(f"{_question(spec)}:", file=sys.stderr)
    for number, option in enumerate(spec.options, 1):
        mark = " (default)" if option == spec.default else ""
        print(f"  {number}. {line(option)}{mark}", file=sys.stderr)
    for _ in range(_TRIES):
        typed = _read_line("Number or value: ").strip()
        if not typed and spec.default is not None:
            return spec.default
        if typed in spec.options:
            return typed
        if typed.isascii() and typed.isdigit() and 0 < int(typed[:6]) <= len(spec.options):
            return spec.options[int(typed[:6]) - 1]
    return None


def _question(spec: InputSpec) -> str:
    return line(f"{spec.description or f'the input {spec.id}'} (for {spec.source})")


def _read_line(prompt: str) -> str:
    print(prompt, end="", file=sys.stderr, flush=True)
    typed = sys.stdin.readline()
    if not typed:
        raise EOFError
    return typed.rstrip("\r\n")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a question at once, although the loop of the command catches it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
