"""The lock: writes it with `uv`, and checks without a network that it fits what it was made from.

Every lock file begins with a digest of its sources. No file may name where a package was fetched
from; see docs/decisions/0006-lock-names-no-registry.md.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = "pyproject.toml"
MARK = "# digest of its sources: "
HEAD = "# Written by `make lock`; do not edit.\n"
OPTIONS = [
    "--universal",
    "--python-version",
    "3.11",
    "--generate-hashes",
    "--no-header",
    "--no-annotate",
    "--quiet",
]


class Lock(NamedTuple):
    """One lock file, the arguments `uv pip compile` makes it with, and the files it depends on."""

    path: str
    arguments: tuple[str, ...]
    sources: tuple[str, ...]


DEV = Lock(
    "requirements/dev.txt",
    (PYPROJECT, "--group", "test", "--group", "lint", "--group", "bench"),
    (PYPROJECT,),
)
LOCKS = (
    DEV,
    Lock("requirements/uv.txt", ("requirements/uv.in", "-c", DEV.path), ("requirements/uv.in", PYPROJECT)),
    Lock("requirements/all.txt", (PYPROJECT, "--all-extras", "-c", DEV.path), (PYPROJECT,)),
    Lock("peers/python/lock.txt", ("peers/python/requirements.in",), ("peers/python/requirements.in",)),
    Lock("peers/older/lock.txt", ("peers/older/requirements.in",), ("peers/older/requirements.in",)),
)


def write(extra: list[str]) -> None:
    """Resolve every lock anew, keeping pins that still fit unless `--upgrade` is in `extra`."""
    uv = str(Path(sys.executable).parent / "uv")
    for lock in LOCKS:
        subprocess.run(
            [uv, "pip", "compile", *lock.arguments, *OPTIONS, *extra, "-o", lock.path], cwd=ROOT, check=True
        )
        path = ROOT / lock.path
        path.write_text(f"{HEAD}{MARK}{digest(lock)}\n{path.read_text()}")
    subprocess.run(
        ["npm", "install", "--package-lock-only", "--ignore-scripts", "--loglevel=error"],
        cwd=ROOT / "peers/node",
        check=True,
    )


def problems() -> Iterator[str]:
    """Name each lock file that no longer fits its sources, in one sentence each."""
    for lock in LOCKS:
        if f"{MARK}{digest(lock)}\n" not in (ROOT / lock.path).read_text():
            yield f"{lock.path} does not fit {' and '.join(lock.sources)}"
    wanted = json.loads((ROOT / "peers/node/package.json").read_text())["dependencies"]
    packages = json.loads((ROOT / "peers/node/package-lock.json").read_text())["packages"]
    if packages[""]["dependencies"] != wanted:
        yield "peers/node/package-lock.json does not fit peers/node/package.json"
    if any("resolved" in package for package in packages.values()):
        yield "peers/node/package-lock.json says where its packages were fetched from"


def digest(lock: Lock) -> str:
    """Give a digest of the arguments of a lock and of what its sources require."""
    content = [list(lock.arguments), OPTIONS, *(_requirements(source) for source in lock.sources)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _requirements(source: str) -> Any:
    text = (ROOT / source).read_text()
    if source != PYPROJECT:
        return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    document = tomllib.loads(text)
    project = document["project"]
    keys = ("requires-python", "dependencies", "optional-dependencies")
    return {**{key: project[key] for key in keys}, "dependency-groups": document["dependency-groups"]}


def main(arguments: list[str]) -> int:
    """Run `write [--upgrade]` or `check`."""
    match arguments:
        case ["write", *extra]:
            write(extra)
            return 0
        case ["check"]:
            found = list(problems())
            for problem in found:
                print(f"{problem}: run `make lock`", file=sys.stderr)
            return 1 if found else 0
        case _:
            print("usage: lock.py write [--upgrade] | check", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
