"""A program that takes limits upon itself and becomes another: run by its path, before a server starts.

Limits are set in a process of their own and not between fork and exec in ours, where no Python may run once
there are threads. It imports nothing of this package. POSIX only.

Arguments: limits as `nofile=64,cpu=10:12` (soft and hard), the LC_CTYPE to give on as `=value` or "" for
none, then the program and its arguments.
"""

import os
import resource
import signal
import sys


def main(words: list[str]) -> None:
    """Set the limits and become the program; what cannot be done is said on standard error."""
    limits, locale, program = words[0], words[1], words[2]
    try:
        for limit in limits.split(","):
            name, _, values = limit.partition("=")
            soft, _, hard = values.partition(":")
            lower(getattr(resource, f"RLIMIT_{name.upper()}"), int(soft), int(hard or soft))
        # Python itself ignores these, and who is ignored stays ignored.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        # Python sets this for its own use where the locale is C.
        os.environ.pop("LC_CTYPE", None)
        if locale:
            os.environ["LC_CTYPE"] = locale[1:]
        os.execv(program, words[2:])  # noqa: S606 - the configured command
    except (OSError, ValueError) as error:
        sys.stderr.write(f"trunkline: {program} cannot be started: {error}\n")
        sys.exit(126)


def lower(kind: int, soft: int, hard: int) -> None:
    """Set a limit, unless a lower one is in force."""
    most = resource.getrlimit(kind)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(kind, (soft, hard))


if __name__ == "__main__":
    main(sys.argv[1:])
