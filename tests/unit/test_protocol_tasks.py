"""What a server says of a task is read in both spellings, and what breaks the protocol is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.task import Task, parse_handle
from trunkline.protocol.tasks import (
    LONGEST,
    SHORTEST,
    MalformedTaskError,
    created_task,
    pause,
    read_task,
    takes_tasks,
    wants_task,
)

KNOWN = Task(server="s", tool="t", id="1")


@pytest.mark.parametrize(
    "spelled", [{"ttlMs": 60, "pollIntervalMs": 5}, {"ttl": 60, "pollInterval": 5}], ids=["modern", "legacy"]
)
def test_a_task_is_read_in_the_spelling_of_either_family(spelled: dict[str, Any]):
    told = {"taskId": "1", "status": "working", "statusMessage": "half", "createdAt": "c", **spelled}
    task = read_task(told, KNOWN)
    assert (task.ttl_ms, task.poll_interval_ms, task.message, task.created) == (60, 5, "half", "c")


@pytest.mark.parametrize(
    ("told", "first"),
    [
        ({"status": "working"}, True),
        ({"taskId": "", "status": "working"}, True),
        ({"taskId": 1, "status": "working"}, True),
        ({"taskId": "2", "status": "working"}, False),
        ({"taskId": "1"}, False),
        ({"taskId": "1", "status": "paused"}, False),
        ({"taskId": "1", "status": ["working"]}, False),
    ],
)
def test_what_describes_no_task_or_another_one_is_refused(told: dict[str, Any], first: bool):
    with pytest.raises(MalformedTaskError):
        read_task(told, KNOWN, first=first)


@pytest.mark.parametrize("before", ["completed", "failed", "cancelled"])
def test_a_final_status_stays(before: Any):
    ended = Task(server="s", id="1", status=before)
    assert read_task({"taskId": "1", "status": before}, ended).status == before
    with pytest.raises(MalformedTaskError):
        read_task({"taskId": "1", "status": "working"}, ended)


@pytest.mark.parametrize("span", [-1, True, "60", None, float("inf"), float("nan"), [], 10**400])
def test_a_span_that_is_none_counts_as_not_said(span: Any):
    told = {"taskId": "1", "status": "working", "ttlMs": span, "pollIntervalMs": span}
    read = read_task(told, KNOWN)
    assert read.ttl_ms in (None, 10**12)
    assert SHORTEST <= pause(read, 10.0) <= LONGEST


@given(
    interval=st.none() | st.integers(0, 10**12),
    left=st.none() | st.floats(allow_nan=False),
    asked=st.none() | st.floats(0, 1e9),
)
def test_the_pause_is_always_within_its_bounds(interval: int | None, left: float | None, asked: float | None):
    task = Task(server="s", id="1", poll_interval_ms=interval)
    assert SHORTEST <= pause(task, left, asked_to_wait=asked) <= LONGEST


def test_the_pause_is_what_the_server_wants_and_ends_before_the_task_does():
    task = Task(server="s", id="1", poll_interval_ms=5000)
    assert pause(task, None) == 5.0
    assert pause(task, None, asked_to_wait=7.0) == 7.0
    assert pause(task, 5.0) == 4.0


@given(server=st.text(min_size=1), tool=st.text(), number=st.text(min_size=1))
def test_a_handle_names_its_task_whatever_the_names_hold(server: str, tool: str, number: str):
    task = Task(server=server, tool=tool, id=number)
    word = task.handle
    assert word.isascii()
    assert word.isprintable()
    assert " " not in word
    assert parse_handle(word) == task


@pytest.mark.parametrize("text", ["", "id", "a/b", "/t/id", "s/t/", "a/b/c/d"])
def test_what_is_no_handle_is_refused(text: str):
    with pytest.raises(ValueError, match="SERVER/TOOL/ID"):
        parse_handle(text)


def test_a_task_is_asked_for_only_where_server_and_tool_allow_it():
    able = {"tasks": {"requests": {"tools": {"call": {}}}}}
    assert takes_tasks("2025-11-25", able)
    assert not takes_tasks("2025-06-18", able)
    assert not takes_tasks("2026-07-28", able)
    assert not takes_tasks("2025-11-25", {"tasks": {"requests": {}}})
    assert wants_task({"taskSupport": "required"}, detach=False)
    assert not wants_task({"taskSupport": "optional"}, detach=False)
    assert wants_task({"taskSupport": "optional"}, detach=True)
    assert not wants_task({"taskSupport": "forbidden"}, detach=True)
    assert not wants_task("required", detach=True)


def test_a_result_of_a_tool_that_speaks_of_tasks_is_no_task():
    assert created_task({"content": [], "task": {"taskId": "1"}}, "2025-11-25", asked=False) is None
    assert created_task({"content": [], "task": {"taskId": "1"}}, "2025-06-18", asked=True) is None
    assert created_task({"task": {"taskId": "1"}}, "2025-11-25", asked=True) == {"taskId": "1"}
