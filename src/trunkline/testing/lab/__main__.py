"""`python -m trunkline.testing.lab`: play the failure lab and print its scoreboard."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

import msgspec

from trunkline.testing.lab.contenders import CONTENDERS
from trunkline.testing.lab.outcome import Outcome
from trunkline.testing.lab.running import run_lab
from trunkline.testing.lab.scenarios import SCENARIOS
from trunkline.testing.lab.scoreboard import draw_scoreboard


def main() -> int:
    """Play what the command line asks for; 1 when a client that must pass did not."""
    options = _options()
    chosen = [one for one in SCENARIOS if not options.scenario or one.name in options.scenario]
    clients = dict.fromkeys(options.client or CONTENDERS)
    began = time.monotonic()
    findings = asyncio.run(
        run_lab(
            tuple(clients),
            scenarios=chosen,
            at_once=options.at_once,
            quiet=not options.noise,
            told=_tell if sys.stderr.isatty() else lambda _: None,
        )
    )
    if options.json:
        sys.stdout.write(msgspec.json.encode(findings).decode() + "\n")
    else:
        print(draw_scoreboard(findings, steps=options.steps))
        print(f"({time.monotonic() - began:.0f} s)")
    failed = [name for name in options.must if not findings.passed(name)]
    if failed:
        print(f"did not pass everything: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _tell(outcome: Outcome) -> None:
    where = " ".join(filter(None, (outcome.scenario, outcome.family, outcome.client)))
    print(f"{where}: {outcome.verdict}", file=sys.stderr)


def _options() -> argparse.Namespace:
    names = [one.name for one in SCENARIOS]
    parser = argparse.ArgumentParser(prog="python -m trunkline.testing.lab", description=__doc__)
    parser.add_argument(
        "--client",
        action="append",
        metavar="CLIENT",
        help=f"{', '.join(CONTENDERS)}, MODULE:CLASS or PATH.py:CLASS; may be repeated",
    )
    parser.add_argument("--scenario", action="append", choices=names, help="only this one; may be repeated")
    parser.add_argument(
        "--must",
        action="append",
        default=[],
        metavar="NAME",
        help="exit with 1 unless this client passes everything",
    )
    parser.add_argument("--at-once", type=int, metavar="N", help="trials that run at the same time")
    parser.add_argument("--steps", action="store_true", help="tell every step of every trial")
    parser.add_argument("--noise", action="store_true", help="show what the libraries print")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
