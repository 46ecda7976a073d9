"""The verdict on what a server's processes take, and the sizes people write."""

from __future__ import annotations

import subprocess

import pytest

from trunkline.config.entry import HttpEntry, StdioEntry
from trunkline.config.process_support import HOLDS, unsupported
from trunkline.config.settings import ServerPolicy
from trunkline.core.process_limits import Exceeded, ProcessLimits, read_size, write_size
from trunkline.runtime.bounding import warn_of_limits
from trunkline.transport.bounds import bounded_command, judge
from trunkline.transport.census import Process, Tree, Usage, _join

LIMITS = ProcessLimits(memory=100, cpu_seconds=2, processes=3)


def usage(memory: int = 0, largest: int = 0, cpu: float = 0, processes: int = 1) -> Usage:
    return Usage(memory=memory, largest=largest or memory, cpu_seconds=cpu, processes=processes)


def never() -> int:
    raise AssertionError("it is dear, and decides nothing")


def test_what_is_within_its_limits_goes_on_and_nothing_dear_is_measured():
    assert judge(LIMITS, usage(100, cpu=2, processes=3), never) is None
    assert judge(ProcessLimits(), usage(10**12, cpu=10**6, processes=10**6), never) is None


def test_memory_that_is_shared_decides_only_where_no_process_alone_has_too_much():
    over = Exceeded(limit="memory", allowed=100, taken=101)
    assert judge(LIMITS, usage(101), never) == over
    assert judge(LIMITS, usage(300, largest=90), lambda: 100) is None
    assert judge(LIMITS, usage(300, largest=90), lambda: 101) == over


@pytest.mark.parametrize(
    ("taken", "limit", "words"),
    [
        (
            usage(5_000_000_000),
            "memory",
            "its processes held 5 GB of memory, and `process.memory` allows 100 B",
        ),
        (usage(cpu=2.5), "cpu_seconds", "2.5 s on a processor, and `process.cpu_seconds` allows 2 s"),
        (usage(processes=4), "processes", "it was 4 processes, and `process.processes` allows 3"),
    ],
)
def test_each_limit_says_what_was_taken_and_what_is_allowed(taken: Usage, limit: str, words: str):
    exceeded = judge(LIMITS, taken, never)
    assert exceeded is not None
    assert exceeded.limit == limit
    assert words in str(exceeded)


def process(pid: int, parent: int, session: int = 1) -> Process:
    facts = {"group": session, "session": session, "begun": 0, "cpu_seconds": 0, "memory": 0}
    return Process(pid=pid, parent=parent, ended=False, **facts)


def test_children_of_children_belong_to_a_tree_in_whatever_order_they_are_found():
    tree = Tree(50)
    _join(tree, [process(70, 60), process(60, 50), process(50, 2), process(80, 2), process(90, 1, 50)])
    assert sorted(tree.members) == [50, 60, 70, 90]


def test_a_command_without_limits_is_the_command_itself():
    assert bounded_command(["x", "y"], ProcessLimits(), {}) == ("x", "y")
    assert bounded_command(["x", "y"], ProcessLimits(processes=2), {}) == ("x", "y")


def test_where_nothing_can_be_counted_the_limits_that_need_it_are_named(monkeypatch: pytest.MonkeyPatch):
    limits = ProcessLimits(memory=1, cpu_seconds=1, files=8)
    for module in ("config.process_support", "transport.bounds"):
        monkeypatch.setattr(f"trunkline.{module}.COUNTS", False)
    assert unsupported(limits) == ("memory",)
    assert "cpu=1:2" in bounded_command(["x"], limits, {})[4]
    for module in ("config.process_support", "transport.bounds"):
        monkeypatch.setattr(f"trunkline.{module}.HOLDS", False)
    assert unsupported(limits) == ("memory", "cpu_seconds", "files")
    assert bounded_command(["x"], limits, {}) == ("x",)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512 MB", 512_000_000),
        ("512MiB", 536_870_912),
        ("1.5 gb", 1_500_000_000),
        ("7 B", 7),
        ("512", None),
        ("MB", None),
        ("-1 MB", None),
        ("1 XB", None),
    ],
)
def test_sizes_are_read_with_their_unit_only(text: str, size: int | None):
    assert read_size(text) == size


def test_sizes_are_written_as_people_write_them():
    assert [write_size(size) for size in (7, 1500, 612_345_678, 2e9)] == ["7 B", "1.5 KB", "612.3 MB", "2 GB"]


def test_a_limit_that_nothing_holds_is_told_when_the_server_is_configured(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("trunkline.config.process_support.COUNTS", False)
    rules = ServerPolicy(process=ProcessLimits(memory=10**9, files=64))
    warn_of_limits(StdioEntry(name="run", source="x", command="sh"), rules)
    warn_of_limits(HttpEntry(name="web", source="x", url="https://example.com"), rules)
    assert [record.message for record in caplog.records] == [
        "run: this system cannot hold a server to memory; it runs without that limit"
    ]


@pytest.mark.skipif(not HOLDS, reason="POSIX only")
@pytest.mark.parametrize("own", [{}, {"LC_CTYPE": "C"}, {"LC_CTYPE": "de_DE.UTF-8"}])
def test_a_program_that_takes_limits_upon_itself_finds_the_environment_and_signals_it_was_given(
    own: dict[str, str],
):
    environ = {"PATH": "/usr/bin:/bin", **own}
    shell = [
        "/bin/sh",
        "-c",
        "env -u PWD -u OLDPWD -u SHLVL -u _; grep SigIgn /proc/$$/status; ulimit -n; echo $0 $1",
    ]
    command = [*shell, "zero", "one two"]
    found = []
    for argv in (command, bounded_command(command, ProcessLimits(files=99), environ)):
        run = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=20, check=True)
        assert run.stderr == ""
        found.append([line for line in run.stdout.splitlines() if not line.isdigit()])
    assert found[0] == found[1]
    assert found[0][-1] == "zero one two"
    assert "99" in run.stdout.splitlines()
